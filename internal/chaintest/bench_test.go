package chaintest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// BenchmarkChainHit is a hit through limiter, session, cache: time and allocations of
// one request, with and without what is prefetched.
func BenchmarkChainHit(b *testing.B) {
	s := redistest.NewServer(b)
	for _, on := range []bool{true, false} {
		name := map[bool]string{true: "prefetch", false: "apart"}[on]
		b.Run(name, func(b *testing.B) {
			h, login := benchChain(b, s, on)
			w := httptest.NewRecorder()
			login.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
			r := httptest.NewRequest(http.MethodGet, "/page", nil)
			r.AddCookie(w.Result().Cookies()[0])
			for range 3 {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			d := bench.NewDiscard()
			b.ReportAllocs()
			for b.Loop() {
				clear(d.H)
				h.ServeHTTP(d, r)
			}
			if d.H.Get("Age") == "" {
				b.Errorf("no hit: %v", d.H)
			}
		})
	}
}

// BenchmarkChainMiss is a miss through all four, with and without what is prefetched.
func BenchmarkChainMiss(b *testing.B) {
	s := redistest.NewServer(b)
	for _, on := range []bool{true, false} {
		name := map[bool]string{true: "prefetch", false: "apart"}[on]
		b.Run(name, func(b *testing.B) {
			h, login := benchChain(b, s, on)
			w := httptest.NewRecorder()
			login.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
			r := httptest.NewRequest(http.MethodGet, "/page", nil)
			r.AddCookie(w.Result().Cookies()[0])
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				r.URL.Path = fmt.Sprint("/page/", n)
				r.RequestURI = r.URL.Path
				d := bench.NewDiscard()
				if h.ServeHTTP(d, r); d.H.Get("Age") != "" {
					b.Fatalf("a hit: %v", d.H)
				}
			}
		})
	}
}

// benchChain is a chain in which the session is read before the cache is asked.
func benchChain(b *testing.B, s *redistest.Server, prefetch bool) (chain, login http.Handler) {
	rdb, prefix := s.Client(b), redistest.Prefix(b)
	limiter, err := ratelimit.New(rdb, ratelimit.PerSecond(1_000_000), ratelimit.WithKeyPrefix(prefix+"r"), ratelimit.WithPrefetch(prefetch))
	if err != nil {
		b.Fatal(err)
	}
	sessions, err := session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithPrefetch(prefetch), session.WithCookie(session.Cookie{Insecure: true}))
	if err != nil {
		b.Fatal(err)
	}
	responses, err := cache.New(rdb, cache.WithKeyPrefix(prefix+"c"), cache.WithPrefetch(prefetch))
	if err != nil {
		b.Fatal(err)
	}
	locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }))
	if err != nil {
		b.Fatal(err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = io.WriteString(w, "page")
	})
	in := sessions.Handler(sessions.Require(responses.Handler(locks.Handler(page))))
	login = sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sessions.Put(r.Context(), "user", "alice") }))
	return limiter.Handler(in), login
}
