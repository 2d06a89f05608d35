package routertest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// A stale response is served at once and made anew beside the request, which by
// then is over: gin and Echo use its Context for others meanwhile. Each page
// stays its own, with its parameters, and the session of who asked. chi's Use
// needs ownRouteContext for that.
func TestRefreshesBesideTheRequest(t *testing.T) {
	rdb := sharedClient(t)
	for _, rt := range routers() {
		t.Run(rt.name, func(t *testing.T) {
			c := newChain(t, "chain", settings{rdb: rdb, burst: 1_000_000})
			var made atomic.Int64
			srv := serve(t, rt.build(app{c.global, c.local, []string{"GET", "POST"}, func(x *exchange) error {
				if x.r.Method == http.MethodPost {
					return x.send(200, text, "other "+x.id)
				}
				n := made.Add(1)
				x.w.Header().Set("Cache-Control", "public, max-age=1, stale-while-revalidate=600")
				return x.send(200, text, fmt.Sprintf("page %s %s %d", x.id, x.r.PathValue("id"), n))
			}}))
			who := client(t)
			const pages = 8
			ask := func(i int) reply {
				r := do(t, who, srv.URL, fmt.Sprint("GET /case/", i), nil)
				if want := fmt.Sprintf("page %d %d ", i, i); !strings.HasPrefix(r.body, want) {
					t.Errorf("got %q, want %s", r.body, want)
				}
				return r
			}
			var first [pages]string
			for i := range pages {
				first[i] = ask(i).body
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			defer wg.Wait()
			defer close(stop)
			wg.Go(func() { // use the Contexts that are free
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if r := do(t, who, srv.URL, fmt.Sprint("POST /case/x", i), nil); r.body != fmt.Sprint("other x", i) {
						t.Errorf("got %q", r.body)
					}
				}
			})
			for i := range pages {
				redistest.Eventually(t, patience, func() bool {
					r := ask(i)
					if status := fmt.Sprint(r.header["Cache-Status"]); !strings.Contains(status, "hit") {
						t.Errorf("page %d: %s: somebody waited", i, status)
					}
					return r.body != first[i]
				}, "page %d is never refreshed", i)
			}
			if told := strings.Join(c.told(), "\n"); strings.Contains(told, "panic") {
				t.Error(told)
			}
		})
	}
}

// A crowd for one page calls the handler once in any router.
func TestACrowdCallsTheHandlerOnce(t *testing.T) {
	rdb := sharedClient(t)
	for _, rt := range routers() {
		t.Run(rt.name, func(t *testing.T) {
			c := newChain(t, "chain", settings{rdb: rdb})
			var made atomic.Int64
			release := make(chan struct{})
			srv := serve(t, rt.build(app{c.global, c.local, []string{"GET"}, func(x *exchange) error {
				made.Add(1)
				<-release
				public(x)
				return x.send(200, text, "page")
			}}))
			var wg sync.WaitGroup
			const crowd = 10
			for range crowd {
				wg.Go(func() {
					if r := do(t, client(t), srv.URL, "GET /case/7", nil); r.body != "page" {
						t.Errorf("got %s %q", r.proto, r.body)
					}
				})
			}
			redistest.Eventually(t, patience, func() bool { // all have passed the limiter
				c.mu.Lock()
				defer c.mu.Unlock()
				return strings.Count(strings.Join(c.events, "\n"), "limit: allowed=true") == crowd && made.Load() > 0
			}, "not all came")
			close(release)
			wg.Wait()
			if n := made.Load(); n != 1 {
				t.Errorf("the handler was called %d times, want once", n)
			}
		})
	}
}

// The key of a lock is the same in each router: by default, and by the route's
// pattern, whatever form it has there.
func TestTheDefaultKeyOfALock(t *testing.T) {
	want := []string{"/case/7", lockmw.Join("/case/{}", "7")}
	for _, rt := range routers() {
		t.Run(rt.name, func(t *testing.T) {
			c := newChain(t, "chain", settings{})
			srv := serve(t, rt.build(app{c.global, c.local, []string{"GET"}, func(x *exchange) error { return x.empty(204) }}))
			do(t, client(t), srv.URL, "GET /case/7", nil)
			if got := slices.Concat(c.keys, c.routes); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
