package chaintest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// clients are what package connect has for the middlewares.
var clients = map[string]func(*connect.Conn) redis.UniversalClient{
	"client":  func(c *connect.Conn) redis.UniversalClient { return c.Client() },
	"batched": func(c *connect.Conn) redis.UniversalClient { return c.Batched() },
}

// Many clients at once, each with a session and a page of its own, through the
// whole chain and automatic batches: everybody gets their own.
func TestTheChainOverConnect(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, client := range clients {
			t.Run(name, func(t *testing.T) {
				conn := connecttest.Open(t, g.URL)
				c := newChain(t, client(conn), redistest.Prefix(t))
				var running atomic.Int32
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					running.Add(1)
					if r.URL.Path == "/login" {
						c.sessions.Put(r.Context(), "user", r.URL.Query().Get("user"))
						return
					}
					w.Header().Set("Cache-Control", "private")
					fmt.Fprint(w, c.sessions.GetString(r.Context(), "user"))
				}))
				serve := func(path, addr, cookie string) *httptest.ResponseRecorder {
					r := httptest.NewRequest(http.MethodGet, path, nil)
					r.RemoteAddr = addr
					r.Header.Set("Cookie", cookie)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w
				}
				var wg sync.WaitGroup
				for i := range 64 {
					wg.Go(func() {
						user, addr := fmt.Sprint("user", i), fmt.Sprintf("10.0.0.%d:1", i)
						w := serve("/login?user="+user, addr, "")
						cookies := w.Result().Cookies()
						if w.Code != 200 || len(cookies) != 1 {
							t.Errorf("%s: login: %d, %d cookies", user, w.Code, len(cookies))
							return
						}
						for range 5 {
							w := serve("/page/"+user, addr, cookies[0].Name+"="+cookies[0].Value)
							if w.Code != 200 || w.Body.String() != user {
								t.Errorf("%s: got %d %q", user, w.Code, w.Body)
							}
						}
					})
				}
				wg.Wait()
				if name == "batched" && conn.Stats().Batched == 0 {
					t.Error("nothing was batched")
				}
			})
		}
	})
}

// An outage over connect: the statuses of README's table, no wait once the
// breaker is open, and back within two seconds of the recovery.
func TestOutagesOverConnect(t *testing.T) {
	for _, s := range Subjects() {
		for name, client := range clients {
			t.Run(s.Name+"/"+name, func(t *testing.T) {
				server := redistest.NewServer(t)
				conn := connecttest.Open(t, server.URL())
				a := newApp(t, s, client(conn), "t")
				redistest.Eventually(t, Patience, func() bool { a.get(); return a.get().Code == 200 }, "not up")
				cookie := a.cookie
				server.Pause()
				for i := range 8 {
					start := time.Now()
					w := a.get()
					check(t, s, fmt.Sprintf("hung, request %d", i), w, time.Since(start))
				}
				best := time.Hour
				for range 20 {
					start := time.Now()
					a.get()
					best = min(best, time.Since(start))
				}
				if best > 10*time.Millisecond {
					t.Errorf("a request still waits %v for a Redis that is known to hang", best)
				}
				server.Resume()
				start := time.Now()
				redistest.Eventually(t, Patience, func() bool {
					w := a.get()
					return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error") && conn.Stats().Open == nil
				}, "not back after the outage")
				if took := time.Since(start); took > 2*time.Second+slack {
					t.Errorf("back %v after the recovery, want within 2s", took)
				}
				if s.Name == "session" && a.cookie != cookie {
					t.Error("the outage logged the user out")
				}
			})
		}
	}
}
