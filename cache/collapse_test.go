package cache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// crowd sends n requests at once over the instances, each with its own
// identity, and returns the responses.
func crowd(instances []http.Handler, n int, target string, identify func(i int, r *http.Request)) []*httptest.ResponseRecorder {
	var wg sync.WaitGroup
	all := make([]*httptest.ResponseRecorder, n)
	for i := range n {
		wg.Go(func() {
			r := httptest.NewRequest("GET", target, nil)
			if identify != nil {
				identify(i, r)
			}
			all[i] = httptest.NewRecorder()
			instances[i%len(instances)].ServeHTTP(all[i], r)
		})
	}
	wg.Wait()
	return all
}

func instances(t *testing.T, g *redistest.Target, n int, h http.Handler, opts ...cache.Option) []http.Handler {
	prefix := redistest.Prefix(t)
	all := make([]http.Handler, n)
	for i := range all {
		all[i] = newCache(t, g.Client(t), append([]cache.Option{cache.WithKeyPrefix(prefix)}, opts...)...).Handler(h)
	}
	return all
}

// Of a crowd that misses something that may be stored one calls the handler, on
// one instance and on four.
func TestOneCallForACrowd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, n := range []int{1, 4} {
			var calls atomic.Int64
			all := instances(t, g, n, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				<-time.After(50 * time.Millisecond)
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "page of ", r.URL.Path)
			}))
			for round := range 5 {
				calls.Store(0)
				target := fmt.Sprint("/", round)
				collapsed := 0
				for _, w := range crowd(all, 100, target, nil) {
					if w.Code != 200 || w.Body.String() != "page of "+target {
						t.Fatalf("got %d %q", w.Code, w.Body)
					}
					if strings.Contains(w.Header().Get("Cache-Status"), "; collapsed") {
						collapsed++
					}
				}
				if calls.Load() != 1 || n == 1 && collapsed == 0 {
					t.Errorf("%d instances: %d calls, want 1; %d collapsed", n, calls.Load(), collapsed)
				}
			}
		}
	})
}

// A response reaches another request only by the rules of the store: whatever
// it is, with fifty identities at once, everybody gets his own. And what is not
// stored does not make anybody wait, from the second crowd on at the latest.
func TestACrowdSharesNothingItMayNot(t *testing.T) {
	const pause = 100 * time.Millisecond
	cases := map[string]struct {
		lines    []string
		status   int
		identify string // the request field that carries the identity
	}{
		"no-store":      {[]string{"Cache-Control: no-store"}, 200, "Cookie"},
		"private":       {[]string{"Cache-Control: private, max-age=60"}, 200, "Cookie"},
		"no directive":  {nil, 200, "Cookie"},
		"set-cookie":    {[]string{"Cache-Control: max-age=60", "Set-Cookie: session=1"}, 200, "Cookie"},
		"authorization": {[]string{"Cache-Control: max-age=60"}, 200, "Authorization"},
		"vary: cookie":  {[]string{"Cache-Control: max-age=60", "Vary: Cookie"}, 200, "Cookie"},
		"vary":          {[]string{"Cache-Control: max-age=60", "Vary: X-Who"}, 200, "X-Who"},
		"error":         {[]string{"Cache-Control: no-store"}, 500, "Cookie"},
		"heuristic":     {[]string{"Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT"}, 200, "Cookie"},
	}
	g := redistest.Standalone(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := instances(t, g, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-time.After(pause)
				for _, line := range tc.lines {
					name, value, _ := strings.Cut(line, ": ")
					w.Header().Add(name, value)
				}
				w.WriteHeader(tc.status)
				fmt.Fprint(w, "for ", r.Header.Get(tc.identify))
			}))
			for round := range 3 {
				start := time.Now()
				for i, w := range crowd(all, 50, "/", func(i int, r *http.Request) { r.Header.Set(tc.identify, fmt.Sprint("user-", i)) }) {
					if want := fmt.Sprint("for user-", i); w.Code != tc.status || w.Body.String() != want {
						t.Fatalf("%s: user %d got %d %q: %s", name, i, w.Code, w.Body, w.Header().Get("Cache-Status"))
					}
				}
				if took := time.Since(start); round > 0 && took > 20*pause { // fifty in turn are fifty pauses
					t.Errorf("round %d took %v: they waited for each other", round, took)
				}
			}
		})
	}
}

// A request that waits is not held up by a leader whose client went away, nor
// by one that takes too long.
func TestWaitersAreNotHeldUp(t *testing.T) {
	var calls atomic.Int64
	stuck := make(chan bool)
	h := newCache(t, redistest.Standalone(t).Client(t), cache.WithCollapseTimeout(200*time.Millisecond)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			<-stuck
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "page")
	}))
	var wg sync.WaitGroup
	wg.Go(func() { do(h, "GET", "/") })
	redistest.Eventually(t, patience, func() bool { return calls.Load() == 1 }, "no leader")
	start := time.Now()
	if w := do(h, "GET", "/"); w.Body.String() != "page" {
		t.Errorf("got %q", w.Body)
	}
	if took := time.Since(start); took < 150*time.Millisecond || took > 10*time.Second {
		t.Errorf("waited %v, want the 200ms of the option", took)
	}
	close(stuck)
	wg.Wait()
}

// While Redis does not answer a crowd still makes one call, and what it shares
// obeys the rules of the store.
func TestNoStampedeWithoutRedis(t *testing.T) {
	server := redistest.NewServer(t)
	var calls atomic.Int64
	c := newCache(t, server.Client(t), cache.WithTimeouts(100*time.Millisecond, time.Second))
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-time.After(300 * time.Millisecond)
		switch r.URL.Path {
		case "/public":
			w.Header().Set("Cache-Control", "max-age=60")
		case "/vary":
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Who")
		}
		fmt.Fprint(w, "for ", r.Header.Get("X-Who"))
	}))
	server.Kill()
	for range 6 { // the breaker opens
		do(h, "GET", "/warm")
	}
	for path, same := range map[string]bool{"/public": true, "/vary": true, "/private": false} {
		calls.Store(0)
		for i, w := range crowd([]http.Handler{h}, 50, path, func(i int, r *http.Request) {
			if path == "/vary" {
				r.Header.Set("X-Who", fmt.Sprint(i%2))
			}
			if path == "/private" {
				r.Header.Set("X-Who", fmt.Sprint(i))
			}
		}) {
			want := "for "
			switch path {
			case "/vary":
				want += fmt.Sprint(i % 2)
			case "/private":
				want += fmt.Sprint(i)
			}
			if w.Code != 200 || w.Body.String() != want {
				t.Fatalf("%s: got %d %q, want %q", path, w.Code, w.Body, want)
			}
		}
		if n := calls.Load(); path == "/public" && n > 3 || !same && n != 50 || path == "/vary" && n > 49 {
			t.Errorf("%s: %d calls", path, n)
		}
	}
}

// What could not be invalidated is not served until it is.
func TestInvalidationsThatHaveToWait(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	var version atomic.Int64
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			version.Add(1)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, version.Load())
	})
	prefix := redistest.Prefix(t)
	direct := newCache(t, server.Client(t), cache.WithKeyPrefix(prefix)).Handler(origin)
	options := server.Options()
	options.Addr = proxy.Addr()
	mine := newCache(t, redisClient(t, options), cache.WithKeyPrefix(prefix), cache.WithTimeouts(100*time.Millisecond, 100*time.Millisecond)).Handler(origin)
	do(direct, "GET", "/")
	if w := do(mine, "GET", "/"); w.Header().Get("Age") == "" {
		t.Fatalf("no hit: %s", w.Header().Get("Cache-Status"))
	}
	proxy.Mute()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("change"))
	w := httptest.NewRecorder()
	mine.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("the change: got %d", w.Code)
	}
	for range 3 {
		if w := do(mine, "GET", "/"); w.Body.String() != "1" {
			t.Errorf("served %q after the change: %s", w.Body, w.Header().Get("Cache-Status"))
		}
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { return do(direct, "GET", "/").Body.String() == "1" }, "the invalidation was never written")
	redistest.Eventually(t, patience, func() bool {
		w := do(mine, "GET", "/")
		return w.Body.String() == "1" && w.Header().Get("Age") != ""
	}, "nothing is served from the store again")
}
