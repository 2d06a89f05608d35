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

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
)

// slack is what a loaded machine may add to a budget.
const slack = 400 * time.Millisecond

// app serves one middleware, with a handler that uses it, and keeps a cookie.
type app struct {
	h      http.Handler
	cookie string
}

func newApp(t testing.TB, s Subject, rdb redis.UniversalClient, prefix string) *app {
	in := s.Make(t, rdb, prefix, "a")
	return &app{h: in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		used := ""
		if in.Use != nil {
			used = in.Use(r)
		}
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, "ok"+used)
	}))}
}

func (a *app) get() *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if a.cookie != "" {
		r.Header.Set("Cookie", a.cookie)
	}
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		a.cookie = c.Name + "=" + c.Value
	}
	return w
}

// check is one answer during an outage.
func check(t *testing.T, s Subject, when string, w *httptest.ResponseRecorder, took time.Duration) {
	t.Helper()
	if w.Code != s.Mute {
		t.Errorf("%s: got %d, want %d", when, w.Code, s.Mute)
	}
	if took > s.Budget+slack {
		t.Errorf("%s: held for %v, the budget is %v", when, took, s.Budget)
	}
	for _, word := range []string{"redis", "refused", "timeout", "127.0.0.1"} {
		if strings.Contains(strings.ToLower(w.Body.String()), word) {
			t.Errorf("%s: the client is shown the cause: %q", when, w.Body)
		}
	}
	if s.Mute == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		t.Errorf("%s: no Retry-After", when)
	}
	if s.Name == "cache" && !strings.Contains(w.Header().Get("Cache-Status"), "fwd=bypass; fwd-status=200; detail=store-error") {
		t.Errorf("%s: Cache-Status %q", when, w.Header().Get("Cache-Status"))
	}
}

// The rows "slow" and "down" of README's failure table, with clients of
// go-redis' defaults too, which ignore deadlines.
func TestRedisSlowOrDown(t *testing.T) {
	for _, defaults := range []bool{false, true} {
		for _, s := range Subjects() {
			for fault, breakIt := range map[string]func(*redistest.Proxy){"mute": (*redistest.Proxy).Mute, "down": (*redistest.Proxy).Refuse} {
				t.Run(fmt.Sprintf("%s/%s/defaults=%v", s.Name, fault, defaults), func(t *testing.T) {
					server := redistest.NewServer(t)
					p := redistest.NewProxy(t, server.Addr())
					opts := &redis.Options{Addr: p.Addr()}
					if !defaults {
						opts = server.Options()
						opts.Addr = p.Addr()
					}
					rdb := redis.NewClient(opts)
					t.Cleanup(func() { rdb.Close() })
					a := newApp(t, s, rdb, "t")
					redistest.Eventually(t, Patience, func() bool { a.get(); return a.get().Code == 200 }, "not up")
					cookie := a.cookie
					breakIt(p)
					for i := range 3 {
						start := time.Now()
						w := a.get()
						check(t, s, fmt.Sprintf("request %d", i), w, time.Since(start))
					}
					p.CloseConns()
					p.Heal()
					redistest.Eventually(t, Patience, func() bool {
						w := a.get()
						return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error")
					}, "not back after the outage")
					if s.Name == "session" && a.cookie != cookie {
						t.Error("the outage logged the user out")
					}
				})
			}
		}
	}
}

// The row "slow" where the client has more than one server to ask: all of them
// hang at once.
func TestSentinelsAndClustersThatHang(t *testing.T) {
	cluster, sentinel := redistest.NewCluster(t, 0), redistest.NewSentinel(t)
	for _, topology := range []struct {
		target  *redistest.Target
		servers []*redistest.Server
	}{
		{cluster.Target(), cluster.Nodes},
		{sentinel.Target(), append(sentinel.Sentinels, sentinel.Data...)},
	} {
		for _, s := range Subjects() {
			t.Run(topology.target.Name+"/"+s.Name, func(t *testing.T) {
				a := newApp(t, s, topology.target.Client(t), redistest.Prefix(t))
				redistest.Eventually(t, Patience, func() bool { a.get(); return a.get().Code == 200 }, "not up")
				resume := func() {
					for _, server := range topology.servers {
						server.Resume()
					}
				}
				defer resume()
				for _, server := range topology.servers {
					server.Pause()
				}
				for i := range 3 {
					start := time.Now()
					w := a.get()
					check(t, s, fmt.Sprintf("request %d", i), w, time.Since(start))
				}
				resume()
				redistest.Eventually(t, Patience, func() bool {
					w := a.get()
					return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error")
				}, "not back after the outage")
			})
		}
	}
}

// The row "fails over": answers stay within the table, and service is back
// with the new master.
func TestRedisFailsOver(t *testing.T) {
	for _, s := range Subjects() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel() // each has its servers
			servers := redistest.NewSentinel(t)
			rdb := servers.Target().Client(t)
			a := newApp(t, s, rdb, "t")
			redistest.Eventually(t, Patience, func() bool { a.get(); return a.get().Code == 200 }, "not up")
			old := servers.Master()
			old.Kill()
			pace := time.NewTicker(5 * time.Millisecond) // within the limit: a client over it gets its 429
			defer pace.Stop()
			for start := time.Now(); time.Since(start) < time.Second; <-pace.C {
				if w := a.get(); w.Code != 200 && w.Code != s.Mute {
					t.Errorf("during the failover: got %d", w.Code)
				}
			}
			servers.WaitPromoted(t, old)
			redistest.Eventually(t, Patience, func() bool {
				w := a.get()
				return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error")
			}, "not back with the new master")
		})
	}
}

// The row "loses a key".
func TestRedisLosesItsKeys(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	lose := func() { rdb.FlushAll(context.Background()) }
	for _, s := range Subjects() {
		t.Run(s.Name, func(t *testing.T) {
			a := newApp(t, s, rdb, redistest.Prefix(t))
			a.get()
			before := a.get()
			lose()
			after := a.get()
			if after.Code != 200 {
				t.Fatalf("got %d", after.Code)
			}
			switch s.Name {
			case "ratelimit": // the bucket is full again
				if !strings.Contains(before.Header().Get("RateLimit"), "r=998") || !strings.Contains(after.Header().Get("RateLimit"), "r=999") {
					t.Errorf("before %v, after %v", before.Header(), after.Header())
				}
			case "session": // a new session
				if !strings.Contains(before.Body.String(), "visits=2") || !strings.Contains(after.Body.String(), "visits=1") {
					t.Errorf("before %s, after %s", before.Body, after.Body)
				}
			case "cache": // a miss
				if before.Header().Get("Age") == "" || after.Header().Get("Age") != "" {
					t.Errorf("before %v, after %v", before.Header(), after.Header())
				}
			}
		})
	}
	t.Run("lock held", func(t *testing.T) {
		l, err := lockmw.New(rdb, lockmw.WithTTL(900*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close(context.Background())
		k, err := l.Acquire(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		lose()
		select {
		case <-k.Context().Done():
		case <-time.After(Patience):
			t.Fatal("the holder does not learn that its lock is gone")
		}
		again, err := l.Acquire(t.Context(), "k")
		if err != nil || again.Fence() <= k.Fence() {
			t.Fatalf("the next holder: %v, fence %v after %v", err, again, k.Fence())
		}
		again.Release(t.Context())
	})
}

// An outage is never answered 429 while the client is within its limit.
func TestAnOutageIsNeverAQuota(t *testing.T) {
	server := redistest.NewServer(t)
	in := newLimiter(t, server.Client(t), "t", "a")
	h := in.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := ratelimit.FromContext(r.Context()); !ok {
			t.Error("no decision in the context")
		}
	}))
	server.Kill()
	for range 200 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != 200 {
			t.Fatalf("got %d", w.Code)
		}
	}
}
