package ratelimit_test

import (
	"testing"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func BenchmarkAllow(b *testing.B) {
	rdb := redistest.Standalone(b).Client(b)
	limit := redis_rate.Limit{Rate: 1 << 30, Burst: 1 << 20, Period: 1e9}
	ours := limiter(b, rdb, limit)
	theirs := redis_rate.NewLimiter(rdb)
	key := redistest.Prefix(b)
	b.Run("redishttp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ours.Allow(b.Context(), key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("redis_rate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs.Allow(b.Context(), key, limit); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var _ ratelimit.Engine = (*redis_rate.Limiter)(nil)
