package ratelimit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// Keys names what the limiter writes, neither more nor less.
func TestKeys(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, limits := range [][]ratelimit.Limit{
		{ratelimit.PerMinute(10)}, {ratelimit.PerMinute(10), ratelimit.Window(100, time.Minute), ratelimit.Concurrency(5)},
	} {
		prefix := redistest.Prefix(t)
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(patience), ratelimit.WithLimits(limits...))
		_, leave, err := l.Enter(t.Context(), "203.0.113.7", 1)
		if err != nil {
			t.Fatal(err)
		}
		got, want := l.Keys("203.0.113.7"), rdb.Keys(t.Context(), prefix+"*").Val()
		if len(want) != 1 || !slices.Equal(got, want) {
			t.Errorf("got %q, in Redis are %q, want one", got, want)
		}
		leave()
	}
}

func TestKeysOfAnotherEngine(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerMinute(10), ratelimit.WithEngine(redis_rate.NewLimiter(rdb)))
	if keys := l.Keys("203.0.113.7"); keys != nil {
		t.Errorf("got %q", keys)
	}
}
