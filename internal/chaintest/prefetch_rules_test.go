package chaintest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// Rule 2: what is decided without Redis asks nothing ahead.
func TestNothingIsAskedAheadInVain(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	count := redistest.Count(rdb)
	none := func(t *testing.T, what string) {
		t.Helper()
		if got := count.Trips(); got != 0 {
			t.Errorf("%s: %d round trips, %v", what, got, count.Commands())
		}
	}
	t.Run("deny cache", func(t *testing.T) {
		c := newTrio(t, rdb, trioOptions{limiter: []ratelimit.Option{ratelimit.WithLimits(ratelimit.PerHour(2))}})
		cookie := c.login(t, "alice")
		h := c.handler(http.HandlerFunc(page))
		for range 4 {
			ask(h, http.MethodGet, "/page", cookie)
		}
		count.Reset()
		for range 5 {
			if w := ask(h, http.MethodGet, "/page", cookie); w.Code != http.StatusTooManyRequests {
				t.Errorf("got %d", w.Code)
			}
		}
		none(t, "refused again")
	})
	t.Run("near tier", func(t *testing.T) {
		c := newTrio(t, rdb, trioOptions{cache: []cache.Option{cache.WithNearTier(1<<20, time.Minute)}})
		h := c.handler(http.HandlerFunc(page))
		learn(t, h, "")
		ask(h, http.MethodGet, "/page", "")
		ask(h, http.MethodGet, "/page", "")
		count.Reset()
		ask(h, http.MethodGet, "/page", "")
		if got := count.Commands(); len(got) != 1 || got["evalsha"] != 1 {
			t.Errorf("a near hit: %v, want the limiter's command alone", got)
		}
	})
	t.Run("skipped and bypassed", func(t *testing.T) {
		c := newTrio(t, rdb, trioOptions{
			limiter: []ratelimit.Option{ratelimit.WithSkip(func(r *http.Request) bool { return r.URL.Path == "/free" })},
			cache:   []cache.Option{cache.WithSkip(func(r *http.Request) bool { return r.Header.Get("Bypass") != "" })},
		})
		h := c.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
		learn(t, h, "")
		for name, change := range map[string]func(r *http.Request){
			"POST":     func(r *http.Request) { r.Method = http.MethodPost },
			"no-store": func(r *http.Request) { r.Header.Set("Cache-Control", "no-store") },
			"bypass":   func(r *http.Request) { r.Header.Set("Bypass", "1") },
		} {
			count.Reset()
			r := get("/page")
			change(r)
			h.ServeHTTP(ignored(), r)
			if got := count.Commands(); got["smembers"] != 0 { // a POST invalidates
				t.Errorf("%s: a look-up: %v", name, got)
			}
		}
		count.Reset()
		free := c.limiter.Handler(c.sessions.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		free.ServeHTTP(ignored(), get("/free"))
		none(t, "skipped by the limiter")
	})
	t.Run("open breaker", func(t *testing.T) {
		server := redistest.NewServer(t)
		proxy := redistest.NewProxy(t, server.Addr())
		away := server.Target().Client(t, func(o *redis.UniversalOptions) { o.Addrs = []string{proxy.Addr()} })
		c := newTrio(t, rdb, trioOptions{rdbs: [3]redis.UniversalClient{rdb, away, away}})
		cookie := c.login(t, "alice")
		h := c.limiter.Handler(c.sessions.Handler(c.sessions.Require(c.responses.Handler(http.HandlerFunc(page)))))
		learn(t, h, cookie)
		asked := redistest.Count(away)
		proxy.Refuse()
		for range 12 {
			ask(h, http.MethodGet, "/page", cookie)
		}
		for range 3 { // a probe is let through each second
			asked.Reset()
			ask(h, http.MethodGet, "/page", cookie)
			if asked.Trips() == 0 {
				return
			}
		}
		t.Errorf("a node that is away is asked: %v", asked.Commands())
	})
}

// Rule 3: whatever a middleware in between changes, the answer is that of the request
// as it is then, as it would be without prefetching.
func TestAChangedRequestNeverGetsAnothersAnswer(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	mutate := map[string]func(r *http.Request) *http.Request{
		"nothing":        func(r *http.Request) *http.Request { return r },
		"path":           func(r *http.Request) *http.Request { c := r.Clone(r.Context()); c.URL.Path = "/other"; return c },
		"path in place":  func(r *http.Request) *http.Request { r.URL.Path = "/other"; return r },
		"query in place": func(r *http.Request) *http.Request { r.URL.RawQuery = "b=2"; return r },
		"URL in place":   func(r *http.Request) *http.Request { *r.URL = url.URL{Path: "/other"}; return r },
		"host":           func(r *http.Request) *http.Request { r.Host = "other.example"; return r },
		"cookie":         func(r *http.Request) *http.Request { r.Header.Set("Cookie", r.Header.Get("Other-Cookie")); return r },
		"no cookie":      func(r *http.Request) *http.Request { r.Header.Del("Cookie"); return r },
		"cookie of a copy": func(r *http.Request) *http.Request {
			c := r.Clone(r.Context())
			c.Header.Set("Cookie", r.Header.Get("Other-Cookie"))
			return c
		},
		"language in place": func(r *http.Request) *http.Request { r.Header["Accept-Language"][0] = "en"; return r },
		"language":          func(r *http.Request) *http.Request { r.Header.Set("Accept-Language", "en"); return r },
		"no language":       func(r *http.Request) *http.Request { r.Header.Del("Accept-Language"); return r },
		"authorization":     func(r *http.Request) *http.Request { r.Header.Set("Authorization", "Bearer x"); return r },
		"method":            func(r *http.Request) *http.Request { r.Method = http.MethodPost; return r },
		"HEAD":              func(r *http.Request) *http.Request { r.Method = http.MethodHead; return r },
		"remote address":    func(r *http.Request) *http.Request { r.RemoteAddr = "203.0.113.9:1"; return r },
		"new context":       func(r *http.Request) *http.Request { return r.WithContext(context.Background()) },
		"header map":        func(r *http.Request) *http.Request { r.Header = http.Header{"Accept-Language": {"fr"}}; return r },
	}
	for name, change := range mutate {
		for _, layout := range []string{"before the session", "before the cache"} {
			t.Run(name+", "+layout, func(t *testing.T) {
				var results [2][]string
				for i := range results {
					c := newTrio(t, rdb, trioOptions{off: i == 1, cache: []cache.Option{
						cache.WithVaryBy(func(r *http.Request) string { return r.RemoteAddr }),
					}})
					alice, bob := c.login(t, "alice"), c.login(t, "bob")
					app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "public, max-age=60")
						w.Header().Set("Vary", "Accept-Language")
						fmt.Fprint(w, r.Method, r.Host, r.URL, r.Header.Get("Accept-Language"), r.RemoteAddr)
					})
					between := func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if r.Header.Get("Change") != "" {
								r = change(r)
							}
							next.ServeHTTP(w, r)
						})
					}
					user := func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							fmt.Fprint(w, c.sessions.GetString(r.Context(), "user"), " ")
							next.ServeHTTP(w, r)
						})
					}
					h := c.limiter.Handler(c.sessions.Handler(user(between(c.responses.Handler(app)))))
					if layout == "before the session" {
						h = c.limiter.Handler(between(c.sessions.Handler(user(c.responses.Handler(app)))))
					}
					for _, changed := range []bool{false, false, true, true, false, true} {
						r := get("/page?a=1")
						r.Header.Set("Cookie", alice)
						r.Header.Set("Other-Cookie", bob)
						r.Header.Set("Accept-Language", "de")
						if changed {
							r.Header.Set("Change", "yes")
						}
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						results[i] = append(results[i], fmt.Sprint(w.Code, " ", w.Body, " ", changing.ReplaceAllString(w.Header().Get("Cache-Status"), "*")))
					}
				}
				for i, got := range results[0] {
					if want := results[1][i]; got != want {
						t.Errorf("request %d: got %s, want %s", i, got, want)
					}
				}
			})
		}
	}
}

// A middleware in between that serves a request twice, or in another goroutine, gets the
// right answer each time.
func TestARequestServedTwice(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := newTrio(t, rdb, trioOptions{})
	cookie := c.login(t, "alice")
	inner := c.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, c.sessions.GetString(r.Context(), "user"))
	}))
	pages := c.responses.Handler(http.HandlerFunc(page))
	h := c.limiter.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				w := ignored()
				if inner.ServeHTTP(w, r); w.Body.String() != "alice" {
					t.Errorf("user: %q", w.Body)
				}
				w = ignored()
				if pages.ServeHTTP(w, r); w.Body.String() != "page /page" {
					t.Errorf("page: %q", w.Body)
				}
			})
		}
		wg.Wait()
	}))
	for range 10 {
		ask(h, http.MethodGet, "/page", cookie)
	}
}

// Rule 4: each request is charged once, whatever becomes of it, and the lease that was
// asked ahead for one that does not make the response is free for the next at once.
func TestChargedOnceAndLeasesGivenBack(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for name, between := range map[string]func(w http.ResponseWriter, r *http.Request){
		"refuses":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"panics":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"disconnects": func(_ http.ResponseWriter, r *http.Request) { r.Context().Value(hangUp{}).(context.CancelFunc)() },
		"redirects":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusSeeOther) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTrio(t, rdb, trioOptions{cache: []cache.Option{cache.WithCollapseTimeout(20 * time.Second)}})
			cookie := c.login(t, "alice")
			inner := c.sessions.Handler(c.responses.Handler(http.HandlerFunc(page)))
			h := c.limiter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Cookie") == cookie+"; stop=1" {
					between(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			learn(t, h, cookie)
			before := left(t, ask(h, http.MethodGet, "/page/x", cookie))
			for i := range 3 {
				target := fmt.Sprint("/page/", name, i)
				serve(h, target, cookie+"; stop=1")
				begun := time.Now()
				w := ask(h, http.MethodGet, target, cookie)
				if !strings.Contains(w.Header().Get("Cache-Status"), "stored") {
					t.Errorf("the next request: %s", w.Header().Get("Cache-Status"))
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("the next request waits %v for the lease", took)
				}
				if now := left(t, w); now != before-2 {
					t.Errorf("two requests were charged %d", before-now)
				} else {
					before = now
				}
			}
			redistest.Eventually(t, Patience, func() bool {
				return c.responses.Stats().PrefetchedUnused >= 1
			}, "nothing was asked ahead for those that were stopped")
		})
	}
}

// hangUp is the context key of what cancels a request.
type hangUp struct{}

// serve serves a request that may panic or be cancelled.
func serve(h http.Handler, target, cookie string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := get(target).WithContext(context.WithValue(ctx, hangUp{}, cancel))
	r.Header.Set("Cookie", cookie)
	defer func() { _ = recover() }()
	h.ServeHTTP(ignored(), r)
}

// left is what a response says is left of the limit.
func left(t *testing.T, w *httptest.ResponseRecorder) (n int) {
	t.Helper()
	_, after, _ := strings.Cut(w.Header().Get("Ratelimit"), "r=")
	if _, err := fmt.Sscan(strings.FieldsFunc(after+" ", func(r rune) bool { return r < '0' || r > '9' })[0], &n); err != nil {
		t.Fatalf("%v: %v", w.Header(), err)
	}
	return n
}

// Rule 9: a logout and a purge that ended before a request came are seen by it.
func TestALogoutBeforeTheRequestIsSeen(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := newTrio(t, g.Client(t), trioOptions{})
		var version atomic.Int64
		h := c.limiter.Handler(c.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/logout" {
				redistest.NoErrors(t, c.sessions.Destroy(r.Context()))
				return
			}
			w.Header().Set("User", c.sessions.GetString(r.Context(), "user"))
			c.responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				fmt.Fprint(w, version.Load())
			})).ServeHTTP(w, r)
		})))
		var wg sync.WaitGroup
		for user := range 4 {
			wg.Go(func() {
				for range 8 {
					cookie := c.login(t, fmt.Sprint(user))
					if got := ask(h, http.MethodGet, fmt.Sprint("/page/", user), cookie).Header().Get("User"); got != fmt.Sprint(user) {
						t.Errorf("user %d: %q", user, got)
					}
					ask(h, http.MethodGet, "/logout", cookie)
					if got := ask(h, http.MethodGet, fmt.Sprint("/page/", user), cookie).Header().Get("User"); got != "" {
						t.Errorf("after the logout of %d: %q", user, got)
					}
				}
			})
		}
		wg.Go(func() {
			for range 20 {
				want := version.Add(1)
				redistest.NoErrors(t, c.responses.Purge(t.Context(), "http://example.com/purged"))
				w := ask(h, http.MethodGet, "/purged", "")
				var got int64
				if _, err := fmt.Sscan(w.Body.String(), &got); err != nil || got < want {
					t.Errorf("after the purge: %s, want %d", w.Body, want)
				}
			}
		})
		wg.Wait()
	})
}
