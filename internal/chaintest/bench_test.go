package chaintest

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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
			hit := hits(b, s, on)
			b.ReportAllocs()
			for b.Loop() {
				hit()
			}
		})
	}
}

// TestAHitAllocatesLittle bounds the allocations of a hit through limiter, session and
// cache, go-redis' among them: 74 of a prefetched one and 105 apart, and a few for what
// is checked ten times a second. The least of several measurements counts, because those
// of other goroutines, such as what the tests before have left to end, are in each.
func TestAHitAllocatesLittle(t *testing.T) {
	s := redistest.NewServer(t)
	for on, most := range map[bool]float64{true: 76, false: 107} {
		hit, least := hits(t, s, on), math.Inf(1)
		for until := time.Now().Add(Patience); least > most+raceAllocations && time.Now().Before(until); {
			least = min(least, testing.AllocsPerRun(100, hit))
		}
		if least > most+raceAllocations {
			t.Errorf("prefetch %v: %v allocations, want at most %v", on, least, most)
		}
	}
}

// hits returns a request that is a hit.
func hits(tb testing.TB, s *redistest.Server, prefetch bool) func() {
	h, login := benchChain(tb, s, prefetch)
	w := httptest.NewRecorder()
	login.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	r := httptest.NewRequest(http.MethodGet, "/page", nil)
	r.AddCookie(w.Result().Cookies()[0])
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	d := bench.NewDiscard()
	return func() {
		clear(d.H)
		if h.ServeHTTP(d, r); len(d.H["Age"]) == 0 {
			tb.Errorf("no hit: %v", d.H)
		}
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
func benchChain(tb testing.TB, s *redistest.Server, prefetch bool) (chain, login http.Handler) {
	rdb, prefix := s.Client(tb), redistest.Prefix(tb)
	limiter, err := ratelimit.New(rdb, ratelimit.PerSecond(1_000_000), ratelimit.WithKeyPrefix(prefix+"r"), ratelimit.WithPrefetch(prefetch), ratelimit.WithTimeout(Patience))
	if err != nil {
		tb.Fatal(err)
	}
	sessions, err := session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithPrefetch(prefetch), session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(Patience, Patience))
	if err != nil {
		tb.Fatal(err)
	}
	responses, err := cache.New(rdb, cache.WithKeyPrefix(prefix+"c"), cache.WithPrefetch(prefetch), cache.WithTimeouts(Patience, Patience))
	if err != nil {
		tb.Fatal(err)
	}
	locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }))
	if err != nil {
		tb.Fatal(err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = io.WriteString(w, "page")
	})
	in := sessions.Handler(sessions.Require(responses.Handler(locks.Handler(page))))
	login = sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sessions.Put(r.Context(), "user", "alice") }))
	return limiter.Handler(in), login
}
