package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
)

// BenchmarkHits compares hits with a bare go-redis GET of the same body, and
// with a handler that a user would write around one, in one run: an iteration
// is a round in which each works for a moment in turn. Reported are the GETs
// per second and, as medians over the rounds, how many times that ours serves.
// Use -benchtime 20x and look at the ratios.
func BenchmarkHits(b *testing.B) {
	s := redistest.NewServer(b)
	conn, err := connect.Open(s.URL(), connect.WithName("bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	rdb := s.Client(b)
	for _, size := range []int{1 << 10, 64 << 10} {
		body := pattern(size)
		page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(body)
		})
		key := fmt.Sprint("bare:", size)
		if err := rdb.Set(b.Context(), key, body, time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
		store := newCache(b, conn.Client(), cache.WithEarlyRefresh(0)).Handler(page)
		near := newCache(b, conn.Client(), cache.WithEarlyRefresh(0), cache.WithNearTier(1<<20, time.Second)).Handler(page)
		work := map[string]func(r *http.Request){
			"get": func(r *http.Request) { _, _ = rdb.Get(r.Context(), key).Bytes() },
			"handler": func(r *http.Request) {
				w := bench.NewDiscard()
				value, err := rdb.Get(r.Context(), key).Bytes()
				if err != nil {
					page(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/octet-stream")
				_, _ = w.Write(value)
			},
			"ours": func(r *http.Request) { store.ServeHTTP(bench.NewDiscard(), r) },
			"near": func(r *http.Request) { near.ServeHTTP(bench.NewDiscard(), r) },
		}
		names := []string{"get", "handler", "ours", "near"}
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("%dKiB/n=%d", size>>10, n), func(b *testing.B) {
				done := map[string][]float64{}
				for b.Loop() {
					for _, name := range names {
						done[name] = append(done[name], bench.Throughput(n, func(int) func() {
							r := httptest.NewRequest("GET", "/page", nil)
							return func() { work[name](r) }
						}))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(bench.Median(done["get"], nil), "get/s")
				for _, name := range names[1:] {
					b.ReportMetric(bench.Median(done[name], done["get"]), name+"/get")
				}
			})
		}
	}
}

// BenchmarkExpired sends 256 requests at once to an entry that has just expired,
// over two instances, and reports the calls of the handler and how long the slowest hundredth
// waited beyond the handler's 100 ms.
func BenchmarkExpired(b *testing.B) {
	g := redistest.Standalone(b)
	var calls atomic.Int64
	const origin = 100 * time.Millisecond
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		<-time.After(origin)
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write([]byte("page"))
	})
	prefix := redistest.Prefix(b)
	one, two := newCache(b, g.Client(b), cache.WithKeyPrefix(prefix)), newCache(b, g.Client(b), cache.WithKeyPrefix(prefix))
	all := []http.Handler{one.Handler(page), two.Handler(page)}
	var late []float64
	for b.Loop() {
		if err := one.PurgeAll(b.Context()); err != nil {
			b.Fatal(err)
		}
		took := make([]time.Duration, 256)
		var wg sync.WaitGroup
		for i := range took {
			wg.Go(func() {
				start := time.Now()
				all[i%2].ServeHTTP(bench.NewDiscard(), httptest.NewRequest("GET", "/", nil))
				took[i] = time.Since(start)
			})
		}
		wg.Wait()
		slices.Sort(took)
		late = append(late, float64(took[len(took)*99/100]-origin)/float64(time.Millisecond))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(calls.Load())/float64(b.N), "calls/crowd")
	b.ReportMetric(bench.Median(late, nil), "p99-late-ms")
}
