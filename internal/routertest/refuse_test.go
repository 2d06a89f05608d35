package routertest

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// refused sends a request that a middleware is to refuse: neither the handler
// nor a middleware further in runs. All routers answer with the same.
func refused(t *testing.T, rt router, c *chain, status int, before func(url string)) reply {
	t.Helper()
	var further atomic.Int64
	c.local = append(c.local, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { further.Add(1); next.ServeHTTP(w, r) })
	})
	srv := serve(t, rt.build(app{c.global, c.local, []string{"GET"}, func(x *exchange) error {
		further.Add(1)
		return x.send(200, text, "not to be seen"+c.visit(x))
	}}))
	if before != nil {
		before(srv.URL)
	}
	further.Store(0)
	c.told()
	r := do(t, client(t), srv.URL, "GET /case/7", nil)
	if n := further.Load(); n > 0 {
		t.Errorf("%d handlers ran", n)
	}
	if r.proto != statusLine(status) {
		t.Errorf("got %s, want %d", r.proto, status)
	}
	r.header["(told)"] = c.told()
	delete(r.header, "Retry-After") // a guess, or what is left of a lease
	return r
}

func statusLine(status int) string {
	return fmt.Sprintf("%d %s complete=true", status, http.StatusText(status))
}

// alike compares the answers of routers to one request.
type alike map[string]reply

func (a alike) check(t *testing.T, subject string, r reply) {
	t.Helper()
	first, ok := a[subject]
	if !ok {
		a[subject] = r
		return
	}
	if r.String() != first.String() {
		t.Errorf("got\n%s\nnet/http\n%s", r, first)
	}
}

func TestRefusesTooMany(t *testing.T) {
	same := alike{}
	for _, rt := range routers() {
		for _, subject := range []string{"ratelimit", "chain"} {
			t.Run(rt.name+"/"+subject, func(t *testing.T) {
				c := newChain(t, subject, settings{burst: 2})
				same.check(t, subject, refused(t, rt, c, http.StatusTooManyRequests, func(url string) {
					for range 2 {
						do(t, client(t), url, "GET /case/7", nil)
					}
				}))
			})
		}
	}
}

func TestRefusesWhileTheLockIsHeld(t *testing.T) {
	same := alike{}
	for _, rt := range routers() {
		for _, subject := range []string{"lockmw", "chain"} {
			t.Run(rt.name+"/"+subject, func(t *testing.T) {
				c := newChain(t, subject, settings{})
				k, err := c.locks.Acquire(t.Context(), "/case/7")
				if err != nil {
					t.Fatal(err)
				}
				same.check(t, subject, refused(t, rt, c, http.StatusConflict, nil))
				if err := k.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// Without Redis limiter, session and lock refuse; the cache lets pass.
func TestRefusesWithoutRedis(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	s.Kill()
	same := alike{}
	for _, rt := range routers() {
		for _, subject := range []string{"ratelimit", "lockmw", "chain"} {
			t.Run(rt.name+"/"+subject, func(t *testing.T) {
				same.check(t, subject, refused(t, rt, newChain(t, subject, settings{rdb: rdb}), http.StatusServiceUnavailable, nil))
			})
		}
		t.Run(rt.name+"/session", func(t *testing.T) {
			c := newChain(t, "session", settings{rdb: rdb})
			srv := serve(t, rt.build(app{c.global, c.local, []string{"GET"}, func(x *exchange) error {
				return x.send(200, text, "not to be seen"+c.visit(x))
			}}))
			r := do(t, client(t), srv.URL, "GET /case/7", http.Header{"Cookie": {"session=abc"}})
			if r.proto != statusLine(http.StatusServiceUnavailable) {
				t.Errorf("got %s, want 503", r.proto)
			}
			delete(r.header, "Retry-After")
			same.check(t, "session", r)
		})
	}
}

// After an error or a panic the next request gets the lock, also in another router.
func TestTheLockIsFreeAfterAnError(t *testing.T) {
	for _, rt := range routers() {
		for _, subject := range []string{"lockmw", "chain"} {
			t.Run(rt.name+"/"+subject, func(t *testing.T) {
				c := newChain(t, subject, settings{})
				var n atomic.Int64
				srv := serve(t, rt.build(app{c.global, c.local, []string{"GET"}, func(x *exchange) error {
					switch n.Add(1) {
					case 1:
						return x.crash()
					case 2:
						panic("oh")
					case 3:
						return x.fail(404)
					}
					return x.send(200, text, "ok")
				}}))
				got := ""
				for range 4 {
					got += do(t, client(t), srv.URL, "GET /case/7", nil).proto[:1]
				}
				if got != "5-42" {
					t.Errorf("got %s, want 500, none, 404 and 200", got)
				}
				c.mu.Lock()
				key := c.keys[0]
				c.mu.Unlock()
				k, err := c.locks.TryAcquire(t.Context(), key)
				if err != nil {
					t.Fatalf("the lock is held: %v", err)
				}
				if err := k.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
