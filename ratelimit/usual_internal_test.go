package ratelimit

import (
	"net/http"
	"reflect"
	"testing"
)

// Each option that changes a response ends the repetition of refusals: all
// fields of responding count, a new one too.
func TestEveryResponseOptionIsNotUsual(t *testing.T) {
	if !new(responding).usual() {
		t.Fatal("the defaults are not usual")
	}
	for i := range reflect.TypeFor[responding]().NumField() {
		var c responding
		field := reflect.ValueOf(&c).Elem().Field(i)
		name := reflect.TypeFor[responding]().Field(i).Name
		// Unexported fields cannot be set by reflection; their options can.
		options := map[string]Option{
			"refund": WithRefund(RefundStatus(400, 599)), "shadow": WithShadow(true), "delay": WithDelay(1, 1),
			"headers": WithHeaders(Headers{LegacyEpoch: true}), "deny": WithDenyHandler(http.NotFoundHandler()),
		}
		opt := options[name]
		if opt == nil {
			t.Errorf("no option of this test sets %s", name)
			continue
		}
		var all config
		opt.apply(&all)
		if all.usual() || !field.IsZero() {
			t.Errorf("%s is set, and refusals are repeated as if it were not", name)
		}
	}
}
