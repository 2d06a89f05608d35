package chaintest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// orders are all orders of n things.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, rest := range orders(n - 1) {
		for at := 0; at <= len(rest); at++ {
			order := append([]int{}, rest[:at]...)
			order = append(order, n-1)
			all = append(all, append(order, rest[at:]...))
		}
	}
	return all
}

// In whatever order the middlewares stand, no client gets another's cookie, page
// or numbers from the cache: all of them write to the same header map.
func TestNoOrderOfTheChainLeaks(t *testing.T) {
	for _, on := range prefetching() {
		t.Run(fmt.Sprintf("prefetch %t", on), func(t *testing.T) { testOrders(t, on) })
	}
}

func testOrders(t *testing.T, prefetch bool) {
	t.Helper()
	rdb := redistest.Standalone(t).Client(t)
	names := []string{"limiter", "session", "cache", "lock"}
	for _, order := range orders(4) {
		c := newChainWith(t, rdb, redistest.Prefix(t), prefetch)
		steps := []func(http.Handler) http.Handler{c.limiter.Handler, c.sessions.Handler, c.responses.Handler, c.locks.Handler}
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			switch r.URL.Path {
			case "/login":
				c.sessions.Put(r.Context(), "user", r.URL.Query().Get("user"))
				fmt.Fprint(w, "hello ", r.URL.Query().Get("user"))
			case "/me":
				fmt.Fprint(w, "you are ", c.sessions.GetString(r.Context(), "user"))
			case "/stream":
				fmt.Fprint(w, "you ")
				_ = http.NewResponseController(w).Flush()
				fmt.Fprint(w, "are ", c.sessions.GetString(r.Context(), "user"))
			default:
				fmt.Fprint(w, "public")
			}
		})
		var title []string
		for _, step := range order {
			title = append([]string{names[step]}, title...)
			h = steps[step](h)
		}
		limited := slices.Index(title, "limiter") < slices.Index(title, "cache")
		t.Run(strings.Join(title, "-"), func(t *testing.T) {
			cookies := map[string]string{}
			ask := func(user, target string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				r.RemoteAddr = map[string]string{"alice": "192.0.2.1:1", "bob": "192.0.2.2:2"}[user]
				r.Header.Set("Cookie", cookies[user])
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				for _, line := range w.Result().Cookies() {
					for other, cookie := range cookies {
						if other != user && cookie == line.Name+"="+line.Value {
							t.Errorf("%s %s got the cookie of %s", user, target, other)
						}
					}
					cookies[user] = line.Name + "=" + line.Value
				}
				hit := w.Header().Get("Age") != ""
				if n := len(w.Header()["Ratelimit"]); n != 1 && (limited || !hit) || n != 0 && !limited && hit {
					t.Errorf("%s %s: %d RateLimit fields, hit %v", user, target, n, hit)
				}
				return w
			}
			ask("alice", "/login?user=alice")
			ask("bob", "/login?user=bob")
			for range 2 {
				for _, user := range []string{"alice", "bob"} {
					if got := ask(user, "/public").Body.String(); got != "public" {
						t.Errorf("public: %q", got)
					}
					// The handler says max-age of a page that it made from the
					// session. It should not; it is not stored all the same.
					if got := ask(user, "/me").Body.String(); got != "you are "+user {
						t.Errorf("%s got %q", user, got)
					}
					if got := ask(user, "/stream").Body.String(); got != "you are "+user {
						t.Errorf("%s got the stream %q", user, got)
					}
				}
			}
			if w := ask("bob", "/public"); !strings.Contains(w.Header().Get("Cache-Status"), "hit") {
				t.Errorf("a public page is not cached: %s", w.Header().Get("Cache-Status"))
			}
			before := ask("alice", "/public").Header().Get("Ratelimit")
			if after := ask("alice", "/public").Header().Get("Ratelimit"); limited && after == before {
				t.Errorf("the limiter's field is replayed: %s", after)
			}
		})
	}
}
