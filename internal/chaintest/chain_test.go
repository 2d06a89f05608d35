package chaintest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// chain is all four middlewares in the order of doc.go, with budgets that a
// loaded machine keeps.
type chain struct {
	limiter   *ratelimit.Limiter
	sessions  *session.Manager
	responses *cache.Cache
	locks     *lockmw.Locker
}

func newChain(t testing.TB, rdb redis.UniversalClient, prefix string) chain {
	t.Helper()
	var c chain
	var errs [4]error
	c.limiter, errs[0] = ratelimit.New(rdb, redis_rate.PerHour(1000), ratelimit.WithKeyPrefix(prefix+"r"), ratelimit.WithTimeout(5*time.Second))
	c.sessions, errs[1] = session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithTimeouts(5*time.Second, 5*time.Second))
	c.responses, errs[2] = cache.New(rdb, cache.WithKeyPrefix(prefix+"c"), cache.WithTimeouts(5*time.Second, 5*time.Second), cache.WithBuckets(1))
	c.locks, errs[3] = lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithTimeout(4*time.Second), lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { c.locks.Close(context.Background()) })
	return c
}

func (c chain) Handler(h http.Handler) http.Handler {
	return c.limiter.Handler(c.sessions.Handler(c.responses.Handler(c.locks.Handler(h))))
}

func TestTheChainServesOneRequestInFewRoundTrips(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c := newChain(t, rdb, redistest.Prefix(t))
		cookie := ""
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				c.sessions.Put(r.Context(), "user", "alice")
				return
			}
			if user := c.sessions.GetString(r.Context(), "user"); user != "alice" && cookie != "" {
				t.Errorf("user: got %q, want alice", user)
			}
			w.Header().Set("Cache-Control", "public, max-age=60")
			io.WriteString(w, "page")
		}))
		get := func(path string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			for _, c := range w.Result().Cookies() {
				cookie = c.Name + "=" + c.Value
			}
			return w
		}
		for i := range 30 { // all nodes and connections learn the scripts; the login is among them
			get(fmt.Sprint("/warm", i))
		}
		get("/login")
		count := redistest.Count(rdb)
		w := get("/page")
		if w.Code != 200 || w.Body.String() != "page" || !strings.Contains(w.Header().Get("Cache-Status"), "stored") {
			t.Fatalf("cold: %d %q %v", w.Code, w.Body, w.Header())
		}
		cold := count.Trips()
		t.Logf("cold: %d round trips, %v", cold, count.Commands())
		count.Reset()
		w = get("/page")
		if w.Body.String() != "page" || w.Header().Get("Age") == "" {
			t.Fatalf("warm: no hit: %v", w.Header())
		}
		// On a cluster each node has a part, all of them under way at the same time.
		parts := count.Trips()
		t.Logf("warm: %d parts, %v", parts, count.Commands())
		if parts != 1 && g.Name != "cluster" || parts > 3 {
			t.Errorf("warm: %d round trips, want 1", parts)
		}
		if cold -= parts - 1; cold > 4 {
			t.Errorf("cold: %d round trips, want at most 4", cold)
		}
		count.Reset()
		together := newMeeting(parts)
		rdb.AddHook(together)
		w = get("/page")
		if w.Header().Get("Age") == "" || count.Trips() != parts || !together.complete() {
			t.Errorf("%d of %d parts, all at the same time %t, %v", count.Trips(), parts, together.complete(), w.Header())
		}
	})
}

// What the outer middlewares say to one client must not reach the next from
// the store.
func TestTheChainKeepsClientsApart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := newChain(t, g.Client(t), redistest.Prefix(t))
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/mine" {
				c.sessions.Put(r.Context(), "user", r.RemoteAddr)
			}
			w.Header().Set("Cache-Control", "public, max-age=60")
			fmt.Fprint(w, "for all")
		}))
		get := func(remote, path string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = remote
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		for i := range 5 {
			get("10.0.0.1:1", fmt.Sprint("/page", i))
		}
		get("10.0.0.1:1", "/page")
		w := get("10.0.0.2:1", "/page")
		if w.Header().Get("Age") == "" || !strings.Contains(w.Header().Get("RateLimit"), "r=999") || len(w.Header().Values("RateLimit")) != 1 {
			t.Errorf("another client's hit: %v, want its own RateLimit", w.Header())
		}
		first, second := get("10.0.0.3:1", "/mine"), get("10.0.0.4:1", "/mine")
		if len(first.Result().Cookies()) != 1 || first.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("a new session: %v", first.Header())
		}
		// The page itself was public and is stored; the cookie was not.
		if len(second.Result().Cookies()) != 0 {
			t.Errorf("the next client got a cookie from the store: %v", second.Header())
		}
	})
}
