package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// When the one call that a crowd waits for comes to nothing, the next one takes
// over alone, in the process and over instances.
func TestTheNextOneTakesOver(t *testing.T) {
	t.Parallel()
	cuts := map[string]func(w http.ResponseWriter, r *http.Request){
		"panic":           func(http.ResponseWriter, *http.Request) { panic("broken") },
		"abort":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"abort in a body": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half"); panic(http.ErrAbortHandler) },
		"short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		},
		"client gone":     func(w http.ResponseWriter, r *http.Request) { leave(r); io.WriteString(w, "half") },
		"gone, says it":   func(w http.ResponseWriter, r *http.Request) { leave(r); w.WriteHeader(503) },
		"gone, no answer": func(_ http.ResponseWriter, r *http.Request) { leave(r) },
		"gone, not stored": func(w http.ResponseWriter, r *http.Request) {
			leave(r)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(499)
		},
	}
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, cutShort := range cuts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var calls atomic.Int64
				begun, release := make(chan bool), make(chan bool)
				all := instances(t, g, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n := calls.Add(1)
					w.Header().Set("Cache-Control", "max-age=60")
					if n <= 2 { // and the second one as well
						if n == 1 {
							begun <- true
							<-release
						}
						cutShort(w, r)
						return
					}
					<-time.After(20 * time.Millisecond)
					io.WriteString(w, "page")
				}), cache.WithCollapseTimeout(patience))
				ask := func(h http.Handler) (w *httptest.ResponseRecorder) {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					w = httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequestWithContext(context.WithValue(ctx, cancelKey{}, cancel), "GET", "/", nil))
					return w
				}
				var wg sync.WaitGroup
				wg.Go(func() { ask(all[0]) })
				<-begun
				var whole, waiting atomic.Int64
				for i := range 60 {
					wg.Go(func() {
						waiting.Add(1)
						if w := ask(all[i%2]); w.Code == 200 && w.Body.String() == "page" {
							whole.Add(1)
						}
					})
				}
				redistest.Eventually(t, patience, func() bool { return waiting.Load() == 60 }, "they do not come")
				start := time.Now()
				close(release)
				wg.Wait()
				if n := calls.Load(); n != 3 || whole.Load() != 59 {
					t.Errorf("%d calls, want 3; %d of 60 got the page, want 59", n, whole.Load())
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("taking over took %v", took)
				}
			})
		}
	})
}

// leave is the client of a request going away.
func leave(r *http.Request) { r.Context().Value(cancelKey{}).(context.CancelFunc)() }

// What may not be stored is for those like the one that got it, and only for as
// long as nothing is stored: a first visit's cookie, one private page.
func TestOneAnswerSwitchesCollapsingOffForFew(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		var calls, first atomic.Int64
		all := instances(t, g, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			<-time.After(30 * time.Millisecond)
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Header.Get("Cookie") == "" && first.Add(1) == 1 {
				w.Header().Set("Set-Cookie", "csrf=1")
			}
			io.WriteString(w, "page")
		}))
		cookie := func(_ int, r *http.Request) { r.Header.Set("Cookie", "csrf=1") }
		for n := range 2 { // each in both directions
			page := fmt.Sprint("/", n)
			first.Store(0)
			do(all[0], "GET", page) // its answer has a cookie
			calls.Store(0)
			crowd(all, 40, page, cookie)
			if got := calls.Load(); got != 1 {
				t.Errorf("%s: %d calls for those with a cookie, want 1", page, got)
			}
			// A page was stored; it goes, and those without a cookie come.
			purge(t, all, page)
			calls.Store(0)
			crowd(all, 40, page, nil)
			if got := calls.Load(); got != 1 {
				t.Errorf("%s: %d calls after a page was stored, want 1", page, got)
			}
		}
		// A mixed crowd whose first gets a cookie: the others of its kind go on by
		// themselves, those with a cookie wait for one of them.
		first.Store(0)
		calls.Store(0)
		crowd(all, 40, "/mixed", func(i int, r *http.Request) {
			if i%4 > 1 {
				r.Header.Set("Cookie", "csrf=1")
			}
		})
		if got := calls.Load(); got > 23 {
			t.Errorf("%d calls of a mixed crowd: those with a cookie did not wait", got)
		}
	})
}

// purge invalidates a page by an unsafe request, which needs no handler of its own.
func purge(t *testing.T, all []http.Handler, page string) {
	t.Helper()
	if w := do(all[0], "DELETE", page); w.Code != 200 {
		t.Fatalf("DELETE: %d", w.Code)
	}
}

// A stuck refresh holds up nobody: within the window the stale page is served,
// beyond it the next request calls the handler, here and on other instances.
func TestAStuckRefreshIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		all := make([]http.Handler, 2)
		for i := range all {
			all[i] = newCache(t, g.Client(t), cache.WithKeyPrefix(prefix), cache.WithCollapseTimeout(patience)).Handler(&s)
		}
		s.set(answering("old", "Cache-Control: max-age=60, stale-while-revalidate=60"))
		do(all[0], "GET", "/")
		older(t, rdb, prefix, 90*time.Second)
		stuck := make(chan bool)
		s.set(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stuck:
			case <-r.Context().Done():
			}
		})
		want(t, do(all[0], "GET", "/"), 200, "old", "hit; ttl=-")
		redistest.Eventually(t, patience, func() bool { return s.calls.Load() == 2 }, "no refresh")
		older(t, rdb, prefix, 4*time.Minute)
		s.set(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(30 * time.Millisecond)
			answering("new", "Cache-Control: max-age=60, stale-while-revalidate=60")(w, r)
		})
		start := time.Now()
		for i, w := range crowd(all, 20, "/", nil) {
			if w.Body.String() != "new" {
				t.Errorf("%d: got %q: %s", i, w.Body, w.Header().Get("Cache-Status"))
			}
		}
		if took, n := time.Since(start), s.calls.Load(); took > 2*time.Second || n != 3 {
			t.Errorf("beyond the window: %v and %d calls, want one more for the crowd", took, n)
		}
		close(stuck)
	})
}

// Of two instances one refreshes, whether the response is stale or soon will be,
// and however slow its handler is compared with its life.
func TestOneRefreshInTheFleet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, tc := range map[string]struct {
			control string
			older   time.Duration
			takes   time.Duration
		}{
			"stale":        {"max-age=60, stale-while-revalidate=60", 90 * time.Second, 20 * time.Millisecond},
			"early":        {"max-age=60", 59500 * time.Millisecond, 100 * time.Millisecond},
			"slow handler": {"max-age=5, stale-while-revalidate=600", time.Minute, 300 * time.Millisecond},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rdb, prefix := g.Client(t), redistest.Prefix(t)
				var calls atomic.Int64
				all := instances(t, g, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n := calls.Add(1)
					<-time.After(tc.takes)
					w.Header().Set("Cache-Control", tc.control)
					fmt.Fprint(w, n)
				}), cache.WithKeyPrefix(prefix))
				do(all[0], "GET", "/")
				older(t, rdb, prefix, tc.older)
				refreshed, until := 0, time.Now().Add(patience)
				for time.Now().Before(until) && refreshed < 100 {
					for _, h := range all {
						w := do(h, "GET", "/")
						if !strings.Contains(w.Header().Get("Cache-Status"), "; hit") {
							t.Fatalf("a request waited: %s", w.Header().Get("Cache-Status"))
						}
						if w.Body.String() != "1" {
							refreshed++
						}
					}
				}
				if n := calls.Load(); n != 2 || refreshed == 0 {
					t.Errorf("%d calls, want 2; refreshed %v", n, refreshed > 0)
				}
			})
		}
	})
}

// A refresh that fails is not set off again by each request.
func TestAFailingRefreshPauses(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
	h := c.Handler(&s)
	s.set(answering("page", "Cache-Control: max-age=60, stale-while-revalidate=600"))
	do(h, "GET", "/")
	older(t, rdb, prefix, 90*time.Second)
	s.set(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) })
	start := time.Now()
	for time.Since(start) < 300*time.Millisecond {
		want(t, do(h, "GET", "/"), 200, "page", "hit; ttl=-")
	}
	if n := s.calls.Load() - 1; n < 1 || n > 1+int64(time.Since(start)/time.Second) {
		t.Errorf("%d refreshes in %v", n, time.Since(start))
	}
}

// A look-up whose reply is late has taken the lease, and does not keep it.
func TestALateReplyLeavesNoLease(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	options := server.Options()
	options.Addr = proxy.Addr()
	prefix := redistest.Prefix(t)
	var s site
	s.set(answering("page", "Cache-Control: no-store"))
	late := newCache(t, redisClient(t, options), cache.WithKeyPrefix(prefix), cache.WithTimeouts(50*time.Millisecond, time.Second)).Handler(&s)
	do(late, "GET", "/warm") // the scripts are loaded
	s.set(answering("page", "Cache-Control: max-age=60"))
	direct := newCache(t, server.Client(t), cache.WithKeyPrefix(prefix), cache.WithCollapseTimeout(patience)).Handler(&s)
	for name, fault := range map[string]func(){"late": func() { proxy.Delay(200 * time.Millisecond) }, "lost": proxy.SwallowReplies} {
		fault()
		page := "/" + name
		if w := do(late, "GET", page); !strings.Contains(w.Header().Get("Cache-Status"), "store-error") {
			t.Errorf("%s: not late: %s", name, w.Header().Get("Cache-Status"))
		}
		proxy.Heal()
		start := time.Now()
		want(t, do(direct, "GET", page), 200, "page", "fwd=uri-miss; fwd-status=200; stored")
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: the next visitor waited %v", name, took)
		}
	}
	redistest.Eventually(t, patience, func() bool { return leasesLeft(t, server.Client(t), prefix) == 0 }, "a lease is left")
}

func leasesLeft(t testing.TB, rdb redis.UniversalClient, prefix string) (n int) {
	each(t, rdb, prefix+"*:[lr]:*", func(*redis.Client, string) { n++ })
	return n
}

// However a request ends, its lease is given back: a panic in a hook, a client
// that left, an answer that is not stored, Close.
func TestNoWayOutLeavesALease(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		hookPanics := false
		c := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithHooks(cache.Hooks{Served: func(context.Context, cache.Status) {
			if hookPanics {
				panic("a hook")
			}
		}}))
		h := c.Handler(&s)
		ask := func(method, path string, lines ...string) {
			defer func() { _ = recover() }()
			do(h, method, path, lines...)
		}
		s.set(answering("page", "Cache-Control: max-age=60"))
		hookPanics = true
		ask("GET", "/hook")
		hookPanics = false
		s.set(func(http.ResponseWriter, *http.Request) { panic("the handler") })
		ask("GET", "/panic")
		s.set(answering("page", "Cache-Control: no-store"))
		ask("GET", "/no-store")
		ask("GET", "/only", "Cache-Control: only-if-cached")
		ask("HEAD", "/head")
		ask("GET", "/range", "Range: bytes=0-1")
		s.set(answering("page", "Cache-Control: max-age=60", "Vary: A, B, C, D, E, F, G, H, I, J"))
		ask("GET", "/vary")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/gone", nil))
		redistest.Eventually(t, 5*time.Second, func() bool { return leasesLeft(t, rdb, prefix) == 0 }, "a lease is left")
		// One that is held while Close is called.
		begun, release := make(chan bool), make(chan bool)
		s.set(func(http.ResponseWriter, *http.Request) { begun <- true; <-release })
		var wg sync.WaitGroup
		wg.Go(func() { do(h, "GET", "/close") })
		<-begun
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		close(release)
		wg.Wait()
		if n := leasesLeft(t, rdb, prefix); n != 0 {
			t.Errorf("%d leases are left after Close", n)
		}
		s.set(answering("page", "Cache-Control: max-age=60"))
		start := time.Now()
		want(t, do(h, "GET", "/closed"), 200, "page", "fwd=uri-miss; fwd-status=200; stored")
		want(t, do(h, "GET", "/closed"), 200, "page", "hit")
		if took := time.Since(start); took > time.Second || leasesLeft(t, rdb, prefix) != 0 {
			t.Errorf("after Close: %v, %d leases", took, leasesLeft(t, rdb, prefix))
		}
	})
}

// What the store cannot keep does not make a crowd go one by one: large bodies
// without Redis, and a Redis that is lost while the body passes.
func TestACrowdOfWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]bool{"down": false, "dies": true} {
		server := redistest.NewServer(t)
		var once sync.Once
		h := newCache(t, server.Client(t), cache.WithTimeouts(200*time.Millisecond, 200*time.Millisecond), cache.WithCollapseTimeout(patience)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(50 * time.Millisecond)
			if dies && r.URL.Path == "/page" {
				once.Do(server.Kill)
			}
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, strings.Repeat("x", 400<<10))
		}))
		if do(h, "GET", "/warm"); !dies {
			server.Kill()
		}
		start := time.Now()
		for i, w := range crowd([]http.Handler{h}, 60, "/page", nil) {
			if w.Body.Len() != 400<<10 {
				t.Errorf("%s: %d got %d bytes", name, i, w.Body.Len())
			}
		}
		if took := time.Since(start); took > 2*time.Second { // one by one: 3 s and more
			t.Errorf("%s: the crowd took %v", name, took)
		}
	}
}

// A crowd that leaves while it waits does not call the handler for nothing.
func TestACrowdThatLeaves(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	release := make(chan bool)
	all := instances(t, redistest.Standalone(t), 2, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		<-release
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
	}), cache.WithCollapseTimeout(patience))
	var first sync.WaitGroup
	first.Go(func() { want(t, do(all[0], "GET", "/"), 200, "page", "fwd=uri-miss; fwd-status=200; stored") })
	redistest.Eventually(t, patience, func() bool { return calls.Load() == 1 }, "no leader")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			all[i%2].ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			if w.Code != 503 || !strings.Contains(w.Header().Get("Cache-Status"), "detail=client-gone") {
				t.Errorf("got %d %s", w.Code, w.Header().Get("Cache-Status"))
			}
		})
	}
	wg.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	close(release)
	first.Wait()
	want(t, do(all[1], "GET", "/"), 200, "page", "hit")
}

// However many stale pages are asked for at once, few are refreshed at a time.
func TestRefreshesAreBounded(t *testing.T) {
	t.Parallel()
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
	s.set(answering("page", "Cache-Control: max-age=60, stale-while-revalidate=600"))
	const pages = 300
	for i := range pages {
		do(h, "GET", fmt.Sprint("/", i))
	}
	older(t, rdb, prefix, 90*time.Second)
	release := make(chan bool)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		<-release
		answering("new", "Cache-Control: max-age=60")(w, r)
	})
	for i := range pages {
		want(t, do(h, "GET", fmt.Sprint("/", i)), 200, "page", "hit; ttl=-")
	}
	redistest.Eventually(t, patience, func() bool { return s.calls.Load() == pages+256 }, "%d refreshes, want 256", s.calls.Load()-pages)
	close(release)
	redistest.Eventually(t, patience, func() bool { return do(h, "GET", fmt.Sprint("/", pages-1)).Body.String() == "new" }, "the last is never refreshed")
}

// One private page, or one error, is not the rule: the next one tries, alone. Two
// running are; then no request waits, for as long as nothing is stored.
func TestOneOddAnswer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var calls, odd atomic.Int64
		all := instances(t, g, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			<-time.After(20 * time.Millisecond)
			w.Header().Set("Cache-Control", "max-age=60")
			if odd.Add(-1) >= 0 {
				w.Header().Set("Cache-Control", "private")
			}
			io.WriteString(w, "page")
		}), cache.WithKeyPrefix(prefix))
		user := func(i int, r *http.Request) { r.Header.Set("Cookie", fmt.Sprint("user=", i)) }
		odd.Store(1)
		do(all[0], "GET", "/before", "Cookie: admin")
		calls.Store(0)
		if crowd(all, 40, "/before", user); calls.Load() != 1 {
			t.Errorf("%d calls after one private page, want 1", calls.Load())
		}
		odd.Store(1)
		calls.Store(0)
		if crowd(all, 40, "/within", user); calls.Load() != 2 {
			t.Errorf("%d calls of a crowd whose first got a private page, want 2", calls.Load())
		}
		odd.Store(1000)
		for range 2 {
			do(all[0], "GET", "/never", "Cookie: a")
		}
		calls.Store(0)
		start := time.Now()
		crowd(all, 40, "/never", user)
		if took := time.Since(start); calls.Load() != 40 || took > 40*20*time.Millisecond {
			t.Errorf("%d calls in %v for a page that is never stored", calls.Load(), took)
		}
		left := func() (d time.Duration) {
			each(t, rdb, prefix+"*:o:*", func(c *redis.Client, key string) { d = max(d, c.PTTL(t.Context(), key).Val()) })
			return d
		}
		each(t, rdb, prefix+"*:o:*", func(c *redis.Client, key string) { c.PExpire(t.Context(), key, 3*time.Second) })
		do(all[1], "GET", "/never", "Cookie: a")
		if d := left(); d < 5*time.Second {
			t.Errorf("the mark has %v left although nothing is stored still", d)
		}
		odd.Store(0)
		do(all[1], "GET", "/never", "Cookie: a")
		if d := left(); d != 0 {
			t.Errorf("a mark is left for %v after a page was stored", d)
		}
	})
}
