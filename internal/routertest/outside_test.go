package routertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-redis/redis_rate/v10"
	"github.com/labstack/echo/v5"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
)

// outsides are all middlewares that put a writer of their own around a whole
// application, each as net/http has it.
func outsides(t *testing.T, rdb redis.UniversalClient) map[string]middleware {
	t.Helper()
	c := newChain(t, "chain", settings{rdb: rdb})
	limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(1000), ratelimit.WithKeyPrefix(redistest.Prefix(t)), ratelimit.WithRefund(ratelimit.RefundStatus(400, 599)))
	if err != nil {
		t.Fatal(err)
	}
	locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(redistest.Prefix(t)),
		lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }), lockmw.WithWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, locks)
	keeper, err := idempotency.New(locks, rdb, func(*http.Request) (string, error) { return "me", nil }, idempotency.WithKeyPrefix(redistest.Prefix(t)), idempotency.WithMethods("GET"))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, keeper)
	return map[string]middleware{
		"ratelimit": limiter.Handler, "session": c.sessions.Handler, "cache": c.responses.Handler, "lockmw": locks.Handler,
		"idempotency": keeper.Handler,
	}
}

// applications stream three lines, each with what its router has for it.
func applications(backend *url.URL) map[string]http.Handler {
	lines := func(w io.Writer, flush func()) {
		for i := range 3 {
			fmt.Fprintln(w, "line", i)
			flush()
		}
	}
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		i := 0
		c.Stream(func(w io.Writer) bool { fmt.Fprintln(w, "line", i); i++; return i < 3 })
	})
	e := echo.New()
	e.GET("/", func(c *echo.Context) error {
		rc := http.NewResponseController(c.Response())
		lines(c.Response(), func() { _ = rc.Flush() })
		return nil
	})
	router := chi.NewRouter()
	router.Get("/", func(w http.ResponseWriter, _ *http.Request) { lines(w, w.(http.Flusher).Flush) })
	return map[string]http.Handler{
		"gin": engine, "echo": e, "chi": router,
		"proxy": &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(backend) }},
	}
}

// An application of any router streams from within a middleware that stands
// around it, over HTTP/1.1 and HTTP/2: gin's engine needs a CloseNotifier.
func TestApplicationsStreamWithinTheMiddlewares(t *testing.T) {
	rdb := sharedClient(t)
	plain := gin.New()
	plain.GET("/", func(c *gin.Context) { c.String(200, "line 0\nline 1\nline 2\n") })
	backend := serve(t, plain)
	to, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range outsides(t, rdb) {
		for router, h := range applications(to) {
			for _, h2 := range []bool{false, true} {
				srv := httptest.NewUnstartedServer(m(h))
				srv.EnableHTTP2 = h2
				srv.StartTLS()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%s-%v", name, router, h2))
				resp, err := srv.Client().Do(req)
				if err != nil {
					t.Fatalf("%s around %s: %v", name, router, err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || string(body) != "line 0\nline 1\nline 2\n" || err != nil {
					t.Errorf("%s around %s, HTTP/2 %v: got %d %q, %v", name, router, h2, resp.StatusCode, body, err)
				}
				srv.Close()
			}
		}
	}
}

// A gin engine with middlewares of net/http in gin, behind one around it: each
// hands on what the server has.
func TestWrappedWritersOfferWhatTheServerDoes(t *testing.T) {
	look := func(w http.ResponseWriter) string {
		//lint:ignore SA1019 gin needs it
		_, c := w.(http.CloseNotifier)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		_, f := w.(http.Flusher)
		_, s := w.(io.StringWriter)
		return fmt.Sprintln(c, h, p, f, s)
	}
	var bare, inGin, inEcho string
	spy := func(to *string) middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				*to = look(w)
				next.ServeHTTP(w, r)
			})
		}
	}
	for _, h2 := range []bool{false, true} {
		for _, rt := range []struct {
			router
			seen *string
		}{{router{"gin", useGin}, &inGin}, {router{"echo", useEcho}, &inEcho}} {
			app := rt.build(app{nil, []middleware{spy(rt.seen)}, []string{"GET"}, func(x *exchange) error { return x.send(200, text, "ok") }})
			srv := httptest.NewUnstartedServer(spy(&bare)(app))
			srv.EnableHTTP2 = h2
			srv.StartTLS()
			resp, err := srv.Client().Get(srv.URL + "/case/7")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			srv.Close()
			if *rt.seen != bare {
				t.Errorf("HTTP/2 %v: in %s a middleware's writer is %s, the server's %s", h2, rt.name, *rt.seen, bare)
			}
		}
	}
}

// A page that gin streams is refreshed in the background, where no client is.
func TestAStreamedPageIsRefreshed(t *testing.T) {
	rdb := sharedClient(t)
	failed := make(chan error, 8)
	c, err := cache.New(rdb, cache.WithKeyPrefix(redistest.Prefix(t)), cache.WithTimeouts(5*time.Second, 5*time.Second), cache.WithHooks(cache.Hooks{
		Failed: func(_ context.Context, err error) { failed <- err },
	}))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, c)
	var made atomic.Int64
	engine := gin.New()
	engine.GET("/", func(g *gin.Context) {
		g.Header("Cache-Control", "public, max-age=1, stale-while-revalidate=600")
		g.Stream(func(w io.Writer) bool { fmt.Fprintln(w, "page", made.Add(1)); return false })
	})
	srv := serve(t, c.Handler(engine))
	who := client(t)
	redistest.Eventually(t, patience, func() bool {
		r := do(t, who, srv.URL, "GET /", nil)
		return strings.Contains(r.body, "page 2")
	}, "never refreshed")
	select {
	case err := <-failed:
		t.Error(err)
	default:
	}
}

// A client that goes away does not cut short what its retry will get: gin's
// Stream ends when its writer says that the client is gone.
func TestAStreamUnderAnIdempotencyKeyIsWhole(t *testing.T) {
	keeper := outsides(t, sharedClient(t))["idempotency"]
	begun, gone := make(chan struct{}), make(chan (<-chan bool), 1)
	var runs atomic.Int64
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		runs.Add(1)
		i := 0
		c.Stream(func(w io.Writer) bool {
			fmt.Fprintln(w, "line", i)
			if i == 0 {
				close(begun)
				select {
				case <-<-gone:
				case <-time.After(patience):
					t.Error("the server does not notice that the client is gone")
				}
			}
			i++
			return i < 3
		})
	})
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runs.Load() == 0 {
			//lint:ignore SA1019 gin uses it
			gone <- w.(http.CloseNotifier).CloseNotify()
		}
		keeper(engine).ServeHTTP(w, r)
	}))
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "a-key-of-this-test")
	go func() { <-begun; leave() }()
	if resp, err := client(t).Do(req); err == nil {
		resp.Body.Close()
	}
	redistest.Eventually(t, patience, func() bool {
		r := do(t, client(t), srv.URL, "GET /", http.Header{"Idempotency-Key": {"a-key-of-this-test"}})
		if strings.HasPrefix(r.proto, "200") && r.body != "line 0\nline 1\nline 2\n" {
			t.Fatalf("the retry got %q", r.body)
		}
		return strings.HasPrefix(r.proto, "200")
	}, "no retry got an answer")
	if n := runs.Load(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}
