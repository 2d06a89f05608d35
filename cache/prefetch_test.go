package cache_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// limited returns a limiter around all that inner serves.
func limited(t testing.TB, rdb ratelimit.Client, prefix string, opts ...ratelimit.Option) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(rdb, ratelimit.PerHour(10_000), append([]ratelimit.Option{ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(5 * time.Second)}, opts...)...)
	redistest.NoErrors(t, err)
	return l
}

// A look-up by a method, inside of a limiter, belongs to no handler.
func TestALookupByHandIsNotPrefetched(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix+"c"))
	h := limited(t, rdb, prefix+"r").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, err := c.Lookup(r.Context(), httptest.NewRequest(http.MethodGet, "/page", nil).WithContext(r.Context()))
		if err != nil {
			t.Error(err)
		}
	}))
	for range 3 {
		if w := do(h, http.MethodGet, "/"); w.Code != 200 {
			t.Errorf("got %d", w.Code)
		}
	}
}

// Requests that do not get to the cache stop its look-ups after four; one that does
// starts them again.
func TestLookupsInVainStopAndStartAgain(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix+"c"))
	inner := c.Handler(origin(200, "Cache-Control: max-age=60"))
	h := limited(t, rdb, prefix+"r").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Refuse") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	do(h, http.MethodGet, "/page")
	do(h, http.MethodGet, "/page")
	before := c.Stats()
	count := redistest.Count(rdb)
	for range 20 {
		do(h, http.MethodGet, "/page", "Refuse: yes")
	}
	if got := count.Commands()["smembers"]; got != 4 {
		t.Errorf("%d look-ups for requests that did not get there, want 4", got)
	}
	if got := c.Stats().PrefetchedUnused - before.PrefetchedUnused; got != 4 {
		t.Errorf("Stats: %d unused, want 4", got)
	}
	for i, want := range []int{2, 1, 1} { // the first asks by itself
		count.Reset()
		if w := do(h, http.MethodGet, "/page"); w.Header().Get("Age") == "" || count.Trips() != want {
			t.Errorf("request %d: %d round trips, want %d, %v", i, count.Trips(), want, w.Header())
		}
	}
	if got := c.Stats().Prefetched - before.Prefetched; got != 2 {
		t.Errorf("Stats: %d used, want 2", got)
	}
}

// A middleware in between that changes what is looked up does so each time: few
// look-ups are in vain.
func TestAChangedRequestIsSeldomLookedUpTwice(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix+"c"))
	h := limited(t, rdb, prefix+"r").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = "tenant=1" // not the path, which tells kinds of requests apart
		c.Handler(origin(200, "Cache-Control: max-age=60")).ServeHTTP(w, r)
	}))
	for range 3 {
		do(h, http.MethodGet, "/page")
	}
	count := redistest.Count(rdb)
	for range 100 {
		if w := do(h, http.MethodGet, "/page"); w.Header().Get("Age") == "" {
			t.Fatalf("no hit: %v", w.Header())
		}
	}
	if got := count.Commands()["smembers"]; got > 103 {
		t.Errorf("%d look-ups for 100 requests", got)
	}
}

// What is asked ahead for a request that is then forwarded without a look-up gives its
// lease back at once, not when the handler has returned.
func TestALeaseIsReleasedAtTheTurn(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"another method": func(r *http.Request) { r.Method = http.MethodPost },
		"authorization":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		"no-store":       func(r *http.Request) { r.Header.Set("Cache-Control", "no-store") },
		"another path":   func(r *http.Request) { r.URL.Path = "/other" },
	} {
		t.Run(name, func(t *testing.T) {
			rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
			c := newCache(t, rdb, cache.WithKeyPrefix(prefix+"c"))
			inside, leave := make(chan struct{}), make(chan struct{})
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Wait") != "" {
					close(inside)
					<-leave
				}
				w.Header().Set("Cache-Control", "max-age=60")
				_, _ = io.WriteString(w, "page")
			})
			inner := c.Handler(page)
			h := limited(t, rdb, prefix+"r").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Wait") != "" {
					change(r)
				}
				inner.ServeHTTP(w, r)
			}))
			do(h, http.MethodGet, "/page/1")
			do(h, http.MethodGet, "/page/2")
			done := make(chan struct{})
			go func() {
				defer close(done)
				do(h, http.MethodGet, "/page/3", "Wait: yes")
			}()
			<-inside
			begun := time.Now()
			w := do(h, http.MethodGet, "/page/3")
			if status := w.Header().Get("Cache-Status"); !strings.Contains(status, "stored") {
				t.Errorf("while the handler of the other runs: %s", status)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("waited %v for the lease", took)
			}
			close(leave)
			<-done
		})
	}
}
