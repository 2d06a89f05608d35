package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

var _ ratelimit.Engine = (*redis_rate.Limiter)(nil)

var served = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// byHand is what people write around redis_rate.
func byHand(l *redis_rate.Limiter, prefix string, limit redis_rate.Limit) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := ratelimit.ByIP(nil)(r)
		res, err := l.Allow(r.Context(), prefix+key, limit)
		if err != nil {
			http.Error(w, "error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("RateLimit-Remaining", fmt.Sprint(res.Remaining))
		if res.Allowed == 0 {
			w.Header().Set("Retry-After", fmt.Sprint(int(res.RetryAfter/time.Second)))
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		served(w, r)
	})
}

// BenchmarkHandler compares handlers in one run: an iteration is a round in
// which each works for a moment in turn. Reported are requests per second with
// redis_rate by hand and, as medians over the rounds, how many times that the
// others serve. Use -benchtime 20x and look at the ratios.
func BenchmarkHandler(b *testing.B) {
	g := redistest.Standalone(b)
	conn, err := connect.Open(g.URL, connect.WithName("bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	prefix := redistest.Prefix(b)
	many := redis_rate.Limit{Rate: 1_000_000, Burst: 10_000_000, Period: time.Minute}
	few := redis_rate.PerHour(1)
	handler := func(rdb ratelimit.Client, limit redis_rate.Limit, opts ...ratelimit.Option) http.Handler {
		return limiter(b, rdb, limit, opts...).Handler(served)
	}
	get := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := ratelimit.ByIP(nil)(r)
		_ = conn.Client().Get(r.Context(), prefix+key).Err()
	})
	rate := redis_rate.NewLimiter(g.Client(b))
	for _, load := range []struct {
		name     string
		limit    redis_rate.Limit
		status   int
		handlers map[string]http.Handler
	}{
		{"one-address", many, 200, map[string]http.Handler{
			"plain-GET": get, "client": handler(conn.Client(), many), "batched": handler(conn.Batched(), many),
		}},
		{"many-addresses", many, 200, map[string]http.Handler{
			"plain-GET": get, "client": handler(conn.Client(), many), "batched": handler(conn.Batched(), many),
		}},
		{"flood", few, 429, map[string]http.Handler{
			"client": handler(conn.Client(), few), "no-deny-cache": handler(conn.Client(), few, ratelimit.WithDenyCache(0, 0)),
		}},
	} {
		load.handlers["no-middleware"] = served
		names := make([]string, 0, len(load.handlers))
		for name := range load.handlers {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/n=%d", load.name, n), func(b *testing.B) {
				done := map[string][]float64{}
				for b.Loop() {
					done["redis_rate"] = append(done["redis_rate"], work(b, n, load.name == "many-addresses", load.status, byHand(rate, prefix, load.limit)))
					for _, name := range names {
						status := load.status
						if name == "no-middleware" {
							status = 200
						}
						done[name] = append(done[name], work(b, n, load.name == "many-addresses", status, load.handlers[name]))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(bench.Median(done["redis_rate"], nil), "redis_rate/s")
				for _, name := range names {
					b.ReportMetric(bench.Median(done[name], done["redis_rate"]), name+"/redis_rate")
				}
			})
		}
	}
}

// work has n clients, of one address or of one each, ask for a moment; requests
// per second.
func work(b *testing.B, n int, spread bool, status int, h http.Handler) float64 {
	b.Helper()
	var wrong atomic.Int64
	client := func(i int) func() {
		r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "203.0.113.7:1234"
		if spread {
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1234", i)
		}
		return func() {
			w := bench.NewDiscard()
			if h.ServeHTTP(w, r); w.Status != status {
				wrong.Add(1)
			}
		}
	}
	client(0)() // the one that a flood is allowed
	wrong.Store(0)
	perSecond := bench.Throughput(n, client)
	if wrong.Load() > 0 {
		b.Errorf("%d answers are not %d", wrong.Load(), status)
	}
	return perSecond
}

// BenchmarkAllow counts allocations.
func BenchmarkAllow(b *testing.B) {
	rdb := redistest.Standalone(b).Client(b)
	limit := redis_rate.Limit{Rate: 1_000_000, Burst: 10_000_000, Period: time.Minute}
	h := limiter(b, rdb, limit).Handler(served)
	theirs := redis_rate.NewLimiter(rdb)
	key := redistest.Prefix(b)
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "203.0.113.7:1234"
		w := bench.NewDiscard()
		for b.Loop() {
			clear(w.H)
			h.ServeHTTP(w, r)
		}
	})
	b.Run("redis_rate alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs.Allow(b.Context(), key, limit); err != nil {
				b.Fatal(err)
			}
		}
	})
}
