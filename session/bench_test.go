package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

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
	conn, err := connect.Open(s.URL(), connect.WithName("bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	ours, err := session.New(conn.Client(), session.WithCookie(session.Cookie{Insecure: true}))
	if err != nil {
		b.Fatal(err)
	}
	batched, err := session.New(conn.Batched(), session.WithCookie(session.Cookie{Insecure: true}), session.WithKeyPrefix("batched"))
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
						done[name] = append(done[name], bench.Throughput(n, func(i int) func() {
							r := httptest.NewRequest("GET", path, nil)
							r.Header.Set("Cookie", cookies[name][i])
							return func() { handlers[name].ServeHTTP(bench.NewDiscard(), r) }
						}))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(bench.Median(done["scs"], nil), "scs/s")
				for _, name := range names[1:] {
					b.ReportMetric(bench.Median(done[name], done["scs"]), name+"/scs")
				}
			})
		}
	}
}
