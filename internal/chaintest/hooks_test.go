package chaintest

import (
	"context"
	"reflect"
	"testing"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// Hooks have one shape everywhere: a struct of functions that take the context first
// and return nothing, with one for failures.
func TestHooksHaveOneShape(t *testing.T) {
	background := reflect.TypeFor[context.Context]()
	for _, hooks := range []any{ratelimit.Hooks{}, session.Hooks{}, cache.Hooks{}, lockmw.Hooks{}, cronlock.Hooks{}, idempotency.Hooks{}} {
		of := reflect.TypeOf(hooks)
		for field := range of.Fields() {
			fn := field.Type
			if fn.Kind() != reflect.Func || fn.NumIn() == 0 || fn.In(0) != background || fn.NumOut() != 0 {
				t.Errorf("%v.%s is a %v", of, field.Name, fn)
			}
		}
		failed, ok := of.FieldByName("Failed")
		if !ok || failed.Type.In(failed.Type.NumIn()-1) != reflect.TypeFor[error]() {
			t.Errorf("%v has no Failed hook for errors", of)
		}
	}
}
