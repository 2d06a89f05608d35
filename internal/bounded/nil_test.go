package bounded_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

func TestIsNil(t *testing.T) {
	var (
		client *redis.Client
		face   redis.UniversalClient = client
		fn     func()
	)
	for name, tc := range map[string]struct {
		v    any
		want bool
	}{
		"nil": {nil, true}, "nil pointer": {client, true}, "interface of a nil pointer": {face, true}, "nil func": {fn, true},
		"client": {redis.NewClient(&redis.Options{}), false}, "func": {func() {}, false}, "struct": {struct{}{}, false}, "number": {0, false},
	} {
		if got := bounded.IsNil(tc.v); got != tc.want {
			t.Errorf("%s: got %t, want %t", name, got, tc.want)
		}
	}
}
