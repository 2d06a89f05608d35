package chaintest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Whatever routes there are inside of the outermost middleware, a look-up is made once:
// a second one would find the lease of the first, and would wait for its own request.
func TestPrefetchAsksOncePerRequest(t *testing.T) {
	h := http.HandlerFunc(page)
	for name, build := range map[string]func(c *trio) http.Handler{
		"a handler for each route": func(c *trio) http.Handler {
			mux := http.NewServeMux()
			for i := range 12 {
				mux.Handle(fmt.Sprintf("/%d/", i), c.responses.Handler(h))
			}
			return c.limiter.Handler(mux)
		},
		"a handler for each request": func(c *trio) http.Handler {
			return c.limiter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.sessions.Handler(c.responses.Handler(h)).ServeHTTP(w, r)
			}))
		},
		"one handler on two ways": func(c *trio) http.Handler {
			mux, inner := http.NewServeMux(), c.responses.Handler(h)
			mux.Handle("/", c.sessions.Handler(inner))
			for i := range 6 {
				mux.Handle(fmt.Sprintf("/%d/", 2*i), inner)
			}
			return c.limiter.Handler(mux)
		},
		"behind others": func(c *trio) http.Handler {
			return c.limiter.Handler(foreign(c.sessions.Handler(foreign(c.responses.Handler(h)))))
		},
		"session outermost": func(c *trio) http.Handler {
			return c.sessions.Handler(foreign(c.limiter.Handler(foreign(c.responses.Handler(h)))))
		},
		"session outermost, two ways": func(c *trio) http.Handler {
			mux, inner := http.NewServeMux(), c.responses.Handler(h)
			mux.Handle("/", c.limiter.Handler(inner))
			for i := range 6 {
				mux.Handle(fmt.Sprintf("/%d/", 2*i), inner)
			}
			return c.sessions.Handler(mux)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.Standalone(t).Client(t)
			c := newTrio(t, rdb, trioOptions{})
			cookie := c.login(t, "alice")
			h := build(c)
			for i := range 12 {
				ask(h, http.MethodGet, fmt.Sprintf("/%d/learn", i), cookie)
			}
			count := redistest.Count(rdb)
			for round, want := range []string{"stored", "hit"} {
				for i := range 12 {
					count.Reset()
					w := ask(h, http.MethodGet, fmt.Sprintf("/%d/page", i), cookie)
					if status := w.Header().Get("Cache-Status"); w.Code != 200 || !strings.Contains(status, want) {
						t.Errorf("round %d, route %d: %d, %s, want %s", round, i, w.Code, status, want)
					}
					// SMEMBERS is in each look-up; a lease in the way means dozens.
					if got := count.Commands()["smembers"]; got > 1 {
						t.Errorf("round %d, route %d: %d look-ups: %v", round, i, got, count.Commands())
					}
					if round == 1 && count.Trips() > 2 {
						t.Errorf("a hit on route %d: %d round trips", i, count.Trips())
					}
				}
			}
		})
	}
}

// The outermost beginner learns what is further in, also what is behind a session that
// is not used.
func TestAChainBehindOthersIsLearnedInOneRequest(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for name, build := range map[string]func(c *trio, h http.Handler) http.Handler{
		"nested": func(c *trio, h http.Handler) http.Handler { return c.handler(h) },
		"others between": func(c *trio, h http.Handler) http.Handler {
			return c.limiter.Handler(foreign(c.sessions.Handler(foreign(c.responses.Handler(foreign(h))))))
		},
		"session and cache nested": func(c *trio, h http.Handler) http.Handler {
			return c.limiter.Handler(foreign(c.sessions.Handler(c.responses.Handler(h))))
		},
	} {
		for _, used := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, session used %t", name, used), func(t *testing.T) {
				c := newTrio(t, rdb, trioOptions{})
				cookie := c.login(t, "alice")
				h := build(c, http.HandlerFunc(page))
				if used { // before the cache, as Require does
					inner := c.responses.Handler(http.HandlerFunc(page))
					use := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if got := c.sessions.GetString(r.Context(), "user"); got != "alice" {
							t.Errorf("user: %q", got)
						}
						inner.ServeHTTP(w, r)
					})
					h = c.limiter.Handler(foreign(c.sessions.Handler(use)))
				}
				// The script of the look-up is loaded, and the response stored.
				c.responses.Handler(http.HandlerFunc(page)).ServeHTTP(ignored(), get("/page"))
				ask(h, http.MethodGet, "/page", cookie)
				count := redistest.Count(rdb)
				w := ask(h, http.MethodGet, "/page", cookie)
				if status := w.Header().Get("Cache-Status"); !strings.Contains(status, "hit") {
					t.Fatalf("no hit: %d %s", w.Code, status)
				}
				if got := count.Trips(); got != 1 {
					t.Errorf("the second request: %d round trips, %v", got, count.Commands())
				}
			})
		}
	}
}
