package cache_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// WithSkip bypasses the store in both directions, and an unsafe request that it
// matches invalidates all the same.
func TestSkipAndUnsafeRequests(t *testing.T) {
	skips := false
	c := newCache(t, redistest.Standalone(t).Client(t), cache.WithSkip(func(*http.Request) bool { return skips }))
	h := c.Handler(origin(200, "Cache-Control: max-age=60"))
	status := func(method string) string {
		t.Helper()
		return do(h, method, "/page").Header().Get("Cache-Status")
	}
	status("GET")
	if s := status("GET"); !strings.Contains(s, "hit") {
		t.Fatalf("got %q, want a hit", s)
	}
	skips = true
	if s := status("GET"); !strings.Contains(s, "fwd=bypass") || strings.Contains(s, "stored") {
		t.Errorf("skipped: got %q", s)
	}
	status("POST")
	skips = false
	if s := status("GET"); strings.Contains(s, "hit") {
		t.Errorf("after a POST: got %q, want a miss", s)
	}
}

// Each request is counted once.
func TestEachRequestIsCountedOnce(t *testing.T) {
	c := newCache(t, redistest.Standalone(t).Client(t))
	h := c.Handler(origin(200, "Cache-Control: max-age=60"))
	for _, method := range []string{"GET", "GET", "HEAD", "POST", "OPTIONS"} {
		do(h, method, "/page")
	}
	s := c.Stats()
	if s.Hits != 2 || s.Misses != 1 || s.Bypassed != 2 || s.Collapsed != 0 {
		t.Errorf("got %+v, want 2 hits, 1 miss and 2 bypassed", s)
	}
}

// A handler that writes nothing leaves the response to net/http, and the cache stores
// none. With a status it does.
func TestAHandlerThatWritesNothing(t *testing.T) {
	c := newCache(t, redistest.Standalone(t).Client(t))
	for _, writes := range []bool{false, true} {
		calls := 0
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Cache-Control", "max-age=60")
			if writes {
				w.WriteHeader(http.StatusOK)
			}
		}))
		do(h, "GET", "/nothing")
		do(h, "GET", "/nothing")
		if want := map[bool]int{false: 2, true: 1}[writes]; calls != want {
			t.Errorf("with a status: %v: the handler was called %d times, want %d", writes, calls, want)
		}
	}
}
