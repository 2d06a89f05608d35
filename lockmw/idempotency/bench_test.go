package idempotency_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// BenchmarkHandler measures a first request and a retry, over real Redis.
func BenchmarkHandler(b *testing.B) {
	rdb := redistest.Standalone(b).Client(b)
	var runs atomic.Int32
	h := keeper(b, rdb, redistest.Prefix(b)).Handler(paid(&runs))
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		n := runs.Load()
		for i := 0; b.Loop(); i++ {
			if w := post(h, fmt.Sprint(n, "-", i), "5"); w.Code != 201 {
				b.Fatal(w.Code)
			}
		}
	})
	b.Run("retry", func(b *testing.B) {
		b.ReportAllocs()
		post(h, "retried", "5")
		for b.Loop() {
			if w := post(h, "retried", "5"); w.Code != 201 {
				b.Fatal(w.Code)
			}
		}
	})
}
