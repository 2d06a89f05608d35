package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// site is an origin whose answer a test sets, and what it was asked.
type site struct {
	calls   atomic.Int64
	handler atomic.Pointer[http.HandlerFunc]
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	(*s.handler.Load())(w, r)
}

func (s *site) set(h http.HandlerFunc) { s.handler.Store(&h) }

// answering returns a handler with a body and header lines, that knows
// If-None-Match.
func answering(body string, lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		if etag := w.Header().Get("Etag"); etag != "" && r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, body)
	}
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, body, cacheStatus string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body || !strings.HasPrefix(w.Header().Get("Cache-Status"), "redishttp; "+cacheStatus) {
		t.Errorf("got %d %q %s, want %d %q %s", w.Code, w.Body, w.Header().Get("Cache-Status"), status, body, cacheStatus)
	}
}

// A stale response is validated; a 304 makes it fresh, with new fields, for all
// instances.
func TestValidation(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		one := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
		two := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
		s.set(answering("page", `ETag: "1"`, "Cache-Control: max-age=60", "X-Version: 1", "Content-Type: text/plain"))
		want(t, do(one, "GET", "/"), 200, "page", "fwd=uri-miss; fwd-status=200; stored")
		older(t, rdb, prefix, 2*time.Minute)
		s.set(answering("other", `ETag: "1"`, "Cache-Control: max-age=60", "X-Version: 2", "Set-Cookie: a=b"))
		w := do(two, "GET", "/")
		want(t, w, 200, "page", "fwd=stale; fwd-status=304; stored")
		if w.Header().Get("X-Version") != "2" || w.Header().Get("Content-Type") != "text/plain" || w.Header().Get("Set-Cookie") != "a=b" {
			t.Errorf("after a 304: %v", w.Header())
		}
		w = do(one, "GET", "/")
		want(t, w, 200, "page", "hit")
		if w.Header().Get("X-Version") != "2" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("stored after a 304: %v", w.Header())
		}
		// The client's own condition is answered from the validated response.
		older(t, rdb, prefix, 2*time.Minute)
		want(t, do(one, "GET", "/", `If-None-Match: "1"`), 304, "", "fwd=stale; fwd-status=304; stored")
		older(t, rdb, prefix, 2*time.Minute)
		want(t, do(one, "GET", "/", `If-None-Match: "0"`), 200, "page", "fwd=stale; fwd-status=304; stored")
		// A change is stored instead.
		older(t, rdb, prefix, 2*time.Minute)
		s.set(answering("new", `ETag: "2"`, "Cache-Control: max-age=60"))
		want(t, do(one, "GET", "/", `If-None-Match: "1"`), 200, "new", "fwd=stale; fwd-status=200; stored")
		want(t, do(two, "GET", "/"), 200, "new", "hit")
		if s.calls.Load() != 5 {
			t.Errorf("%d calls, want 5", s.calls.Load())
		}
	})
}

// What a 304 says replaces what was said before, also about who may have it.
func TestA304ChangesWhoMayHaveIt(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
	s.set(answering("page", `ETag: "1"`, "Cache-Control: public, max-age=60"))
	do(h, "GET", "/")
	want(t, do(h, "GET", "/", "Authorization: Basic YTpi"), 200, "page", "hit")
	older(t, rdb, prefix, 2*time.Minute)
	s.set(answering("page", `ETag: "1"`, "Cache-Control: max-age=60"))
	want(t, do(h, "GET", "/"), 200, "page", "fwd=stale; fwd-status=304; stored")
	s.set(answering("for one", "Cache-Control: max-age=60"))
	want(t, do(h, "GET", "/", "Authorization: Basic YTpi"), 200, "for one", "fwd=")
	want(t, do(h, "GET", "/"), 200, "page", "hit")
	// A HEAD stores what a GET would, and no more.
	for control, stored := range map[string]string{"no-store": "", "max-age=60": "; stored"} {
		older(t, rdb, prefix, 2*time.Minute)
		s.set(answering("page", `ETag: "1"`, "Cache-Control: "+control))
		w := do(h, "HEAD", "/")
		want(t, w, 200, "", "fwd=stale; fwd-status=304"+stored)
		if got := strings.Contains(w.Header().Get("Cache-Status"), "stored"); got != (stored != "") {
			t.Errorf("%s by HEAD: %s", control, w.Header().Get("Cache-Status"))
		}
	}
}

// no-cache is stored and validated each time.
func TestNoCacheIsValidatedEachTime(t *testing.T) {
	var s site
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(&s)
	s.set(answering("page", `ETag: "1"`, "Cache-Control: no-cache"))
	want(t, do(h, "GET", "/"), 200, "page", "fwd=uri-miss; fwd-status=200; stored")
	for range 3 {
		want(t, do(h, "GET", "/"), 200, "page", "fwd=stale; fwd-status=304; stored")
	}
}

// stale-while-revalidate: nobody waits, one refresh in the fleet, not beyond
// the window.
func TestStaleWhileRevalidate(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		instances := make([]http.Handler, 4)
		for i := range instances {
			instances[i] = newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
		}
		type key struct{}
		var value atomic.Value
		s.set(answering("old", "Cache-Control: max-age=60, stale-while-revalidate=60"))
		want(t, do(instances[0], "GET", "/"), 200, "old", "fwd=uri-miss")
		older(t, rdb, prefix, 90*time.Second)
		release := make(chan bool)
		s.set(func(w http.ResponseWriter, r *http.Request) {
			value.Store(fmt.Sprint(r.Context().Value(key{})))
			<-release
			answering("new", "Cache-Control: max-age=60, stale-while-revalidate=60")(w, r)
		})
		for i := range 40 {
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
			r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
			w := httptest.NewRecorder()
			instances[i%4].ServeHTTP(w, r)
			cancel() // the refresh goes on
			want(t, w, 200, "old", "hit; ttl=-")
		}
		redistest.Eventually(t, patience, func() bool { return s.calls.Load() == 2 }, "no refresh")
		close(release)
		redistest.Eventually(t, patience, func() bool { return do(instances[3], "GET", "/").Body.String() == "new" }, "the refresh is not stored")
		if n := s.calls.Load(); n != 2 || value.Load() != "kept" {
			t.Errorf("%d calls, want 2: the first and one refresh; context value %v", n, value.Load())
		}
		// Beyond the window nothing is left to serve.
		s.set(answering("old", "Cache-Control: max-age=60, stale-while-revalidate=60"))
		do(instances[1], "GET", "/beyond")
		older(t, rdb, prefix, 4*time.Minute)
		s.set(answering("newest", "Cache-Control: max-age=60"))
		want(t, do(instances[1], "GET", "/beyond"), 200, "newest", "fwd=uri-miss")
	})
}

// stale-if-error: errors and panics are covered within the window, unless
// must-revalidate forbids.
func TestStaleIfError(t *testing.T) {
	fails := map[string]http.HandlerFunc{
		"500":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) },
		"503":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusServiceUnavailable) },
		"panic": func(http.ResponseWriter, *http.Request) { panic("broken") },
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
			var s site
			h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
			s.set(answering("page", "Cache-Control: max-age=60, stale-if-error=60", "X-A: 1"))
			do(h, "GET", "/")
			older(t, rdb, prefix, 90*time.Second)
			s.set(fail)
			w := do(h, "GET", "/")
			if want(t, w, 200, "page", "fwd=stale; fwd-status=5"); !strings.Contains(w.Header().Get("Cache-Status"), "detail=stale-if-error") || w.Header().Get("X-A") != "1" {
				t.Errorf("header: %v", w.Header())
			}
			if name == "panic" {
				defer func() {
					if p := recover(); p != "broken" {
						t.Errorf("recovered %v, want the handler's panic", p)
					}
				}()
			}
			if w := do(h, "GET", "/nothing-stored"); w.Code < 500 {
				t.Errorf("nothing stored: got %d", w.Code)
			}
		})
	}
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
	s.set(answering("page", `ETag: "1"`, "Cache-Control: max-age=60, stale-if-error=60, must-revalidate"))
	do(h, "GET", "/")
	older(t, rdb, prefix, 90*time.Second)
	s.set(fails["500"])
	want(t, do(h, "GET", "/"), 500, "sorry\n", "fwd=stale; fwd-status=500")
	// Asked for by the client (RFC 5861, section 4).
	s.set(answering("page", `ETag: "1"`, "Cache-Control: max-age=60"))
	do(h, "GET", "/asked")
	older(t, rdb, prefix, 90*time.Second)
	s.set(fails["500"])
	want(t, do(h, "GET", "/asked", "Cache-Control: stale-if-error=60"), 200, "page", "fwd=stale; fwd-status=500; detail=stale-if-error")
	want(t, do(h, "GET", "/asked", "Cache-Control: stale-if-error=10"), 500, "sorry\n", "fwd=stale")
	want(t, do(h, "GET", "/asked", "Cache-Control: max-stale=60"), 200, "page", "hit; ttl=-")
}

// A response is refreshed before it is stale, so that under steady traffic
// nobody waits after the first request; immutable ones are left alone.
func TestRefreshAheadOfExpiry(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for directive, refreshed := range map[string]bool{"": true, ", immutable": false} {
		prefix := redistest.Prefix(t)
		var s site
		c := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithEarlyRefresh(50))
		h := c.Handler(&s)
		s.set(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(20 * time.Millisecond)
			answering("page", "Cache-Control: max-age=60"+directive)(w, r)
		})
		do(h, "GET", "/")
		older(t, rdb, prefix, 59500*time.Millisecond)
		for range 50 {
			if w := do(h, "GET", "/"); !strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
				t.Fatalf("somebody waited: %s", w.Header().Get("Cache-Status"))
			}
		}
		if refreshed {
			redistest.Eventually(t, patience, func() bool { return c.Stats().Refreshes == 1 && s.calls.Load() == 2 }, "not refreshed")
		} else if n := s.calls.Load(); n != 1 {
			t.Errorf("immutable: %d calls, want 1", n)
		}
	}
}

// What does not say that it is for all, and answers a request with a cookie, is
// not even stored to be validated: a 304 to the next user would hand it out.
func TestCookiesAreNotGuessedAt(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"nothing said":   {[]string{"Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT"}, "for bob"},
		"an etag":        {[]string{`ETag: "1"`}, "for bob"},
		"no-cache":       {[]string{`ETag: "1"`, "Cache-Control: no-cache"}, "for alice"}, // the handler says it has not changed
		"public":         {[]string{"Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT", "Cache-Control: public"}, "for alice"},
		"max-age":        {[]string{"Cache-Control: max-age=60"}, "for alice"},
		"private":        {[]string{`ETag: "1"`, "Cache-Control: private"}, "for bob"},
		"nothing at all": {nil, "for bob"},
	} {
		h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, line := range tc.lines {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Add(name, value)
			}
			if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "for ", r.Header.Get("Cookie"))
		}))
		do(h, "GET", "/", "Cookie: alice")
		if w := do(h, "GET", "/", "Cookie: bob"); w.Body.String() != tc.want {
			t.Errorf("%s: got %q, want %q: %s", name, w.Body, tc.want, w.Header().Get("Cache-Status"))
		}
	}
}

// What was stored for a request without a cookie, because nobody said anything,
// is not for one with a cookie: it may be logged in.
func TestGuessesAreNotForCookies(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want string
	}{
		"guessed":   {"Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT", "for alice"},
		"validator": {`ETag: "1"`, "for alice"},
		"said":      {"Cache-Control: max-age=60", "for "},
	} {
		h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, value, _ := strings.Cut(tc.line, ": ")
			w.Header().Set(name, value)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "for ", r.Header.Get("Cookie"))
		}))
		do(h, "GET", "/")
		if w := do(h, "GET", "/", "Cookie: alice"); w.Body.String() != tc.want {
			t.Errorf("%s: got %q, want %q: %s", name, w.Body, tc.want, w.Header().Get("Cache-Status"))
		}
		if w := do(h, "GET", "/"); w.Body.String() != "for " {
			t.Errorf("%s: without a cookie after it: %q", name, w.Body)
		}
	}
}

// A response that allows nothing is not served stale, not at its very end either.
func TestNothingIsServedStaleThatDoesNotAllowIt(t *testing.T) {
	var s site
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(&s)
	for range 200 { // some are asked for in the millisecond in which they were stored
		s.set(answering("old", `ETag: "1"`, "Cache-Control: max-age=0"))
		do(h, "GET", "/")
		s.set(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) })
		if w := do(h, "GET", "/"); w.Code != 500 {
			t.Fatalf("got %d %s", w.Code, w.Header().Get("Cache-Status"))
		}
	}
}
