package session_test

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

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// sink is a ResponseWriter that costs nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// data are the methods that both managers have.
type data interface {
	GetString(ctx context.Context, key string) string
	Put(ctx context.Context, key string, value any)
}

func page(m data) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/read":
			_ = m.GetString(r.Context(), "user")
		case "/write":
			m.Put(r.Context(), "n", int(n.Add(1)))
		case "/login":
			m.Put(r.Context(), "user", "alice")
		}
		_, _ = w.Write(nil)
	})
}

// BenchmarkSession compares with scs.LoadAndSave over redisstore on a plain
// redigo pool, in one run: an iteration is a round in which each works for a
// moment in turn. Every goroutine has a session of its own. Reported are scs'
// requests per second and, as medians over the rounds, how many times that ours
// serves. Use -benchtime 20x and look at the ratios.
func BenchmarkSession(b *testing.B) {
	s := redistest.NewServer(b)
	conn, err := connect.Open("bench", s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	ours, err := session.New(conn.Client(), session.WithInsecureCookie(true))
	if err != nil {
		b.Fatal(err)
	}
	batched, err := session.New(conn.Batched(), session.WithInsecureCookie(true), session.WithKeyPrefix("batched:"))
	if err != nil {
		b.Fatal(err)
	}
	theirs := scs.New()
	theirs.Store = redisstore.New(&redis.Pool{MaxIdle: 100, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", s.Addr()) }})
	handlers := map[string]http.Handler{"scs": theirs.LoadAndSave(page(theirs)), "ours": ours.Handler(page(ours)), "batched": batched.Handler(page(batched))}
	names := []string{"scs", "ours", "batched"}
	cookies := map[string][]string{}
	for _, name := range names {
		for range 64 {
			w := httptest.NewRecorder()
			handlers[name].ServeHTTP(w, httptest.NewRequest("GET", "/login", nil))
			c, _ := cookie(w)
			cookies[name] = append(cookies[name], c)
		}
	}
	for _, path := range []string{"/static", "/read", "/write"} {
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/n=%d", path[1:], n), func(b *testing.B) {
				done := map[string][]float64{}
				for b.Loop() {
					for _, name := range names {
						done[name] = append(done[name], work(b, n, handlers[name], path, cookies[name]))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(done["scs"], nil), "scs/s")
				for _, name := range names[1:] {
					b.ReportMetric(median(done[name], done["scs"]), name+"/scs")
				}
			})
		}
	}
}

func work(b *testing.B, n int, h http.Handler, path string, cookies []string) float64 {
	b.Helper()
	const moment = 100 * time.Millisecond
	var count atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Cookie", cookies[i])
			mine := int64(0)
			for time.Since(start) < moment {
				for range 4 {
					h.ServeHTTP(&sink{http.Header{}}, r)
					mine++
				}
			}
			count.Add(mine)
		})
	}
	wg.Wait()
	return float64(count.Load()) / time.Since(start).Seconds()
}

// median of values, each divided by its base in the same round.
func median(values, base []float64) float64 {
	all := slices.Clone(values)
	for i := range base {
		all[i] /= base[i]
	}
	slices.Sort(all)
	return all[len(all)/2]
}
