package echomw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/redishttp/redishttp/adapters/echomw"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

func newEcho() *echo.Echo {
	return echo.NewWithConfig(echo.Config{Logger: slog.New(slog.DiscardHandler)})
}

func identity(next http.Handler) http.Handler { return next }

// spy is a middleware that keeps what it saw of each response: the status, 0 if
// nothing was written when the next handler had returned, and the body.
type spy struct {
	status int
	body   strings.Builder
}

type spyWriter struct {
	http.ResponseWriter
	s *spy
}

func (w spyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w spyWriter) WriteHeader(status int) {
	if w.s.status == 0 && status >= 200 {
		w.s.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w spyWriter) Write(p []byte) (int, error) {
	if w.s.status == 0 {
		w.s.status = http.StatusOK
	}
	w.s.body.Write(p)
	return w.ResponseWriter.Write(p)
}

func (s *spy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(spyWriter{w, s}, r)
	})
}

func serve(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// What a middleware sees when its next handler has returned, and what the client
// gets: the same as from Echo alone.
func TestSeesTheResponse(t *testing.T) {
	cases := map[string]struct {
		handler echo.HandlerFunc
		status  int
		body    string
	}{
		"200":              {func(c *echo.Context) error { return c.String(200, "hello") }, 200, "hello"},
		"201 JSON":         {func(c *echo.Context) error { return c.JSON(201, map[string]int{"a": 1}) }, 201, "{\"a\":1}\n"},
		"204":              {func(c *echo.Context) error { return c.NoContent(204) }, 204, ""},
		"304":              {func(c *echo.Context) error { return c.NoContent(304) }, 304, ""},
		"302":              {func(c *echo.Context) error { return c.Redirect(302, "/there") }, 302, ""},
		"write":            {func(c *echo.Context) error { _, err := io.WriteString(c.Response(), "bytes"); return err }, 200, "bytes"},
		"an error":         {func(*echo.Context) error { return errors.New("no") }, 500, "{\"message\":\"Internal Server Error\"}\n"},
		"an HTTP error":    {func(*echo.Context) error { return echo.NewHTTPError(409, "busy") }, 409, "{\"message\":\"busy\"}\n"},
		"a known error":    {func(*echo.Context) error { return echo.ErrForbidden }, 403, "{\"message\":\"Forbidden\"}\n"},
		"body, then error": {func(c *echo.Context) error { _ = c.String(200, "half"); return errors.New("no") }, 200, "half"},
		"nothing":          {func(*echo.Context) error { return nil }, 0, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &spy{}
			bare, wrapped := newEcho(), newEcho()
			bare.GET("/", tc.handler)
			wrapped.Use(echomw.Wrap(identity))
			wrapped.GET("/", tc.handler, echomw.Wrap(s.Handler), echomw.Wrap(identity))
			want, got := serve(bare, "GET", "/"), serve(wrapped, "GET", "/")
			if s.status != tc.status || s.body.String() != tc.body {
				t.Errorf("seen: got %d %q, want %d %q", s.status, s.body.String(), tc.status, tc.body)
			}
			if got.Code != want.Code || got.Body.String() != want.Body.String() || fmt.Sprint(got.Header()) != fmt.Sprint(want.Header()) {
				t.Errorf("sent: got %d %v %q, want %d %v %q", got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		})
	}
}

func TestSeesThePagesOfTheRouter(t *testing.T) {
	build := func(use ...echo.MiddlewareFunc) *echo.Echo {
		e := newEcho()
		e.Use(use...)
		e.GET("/there/:id", func(c *echo.Context) error { return c.String(200, "ok") })
		return e
	}
	for target, status := range map[string]int{"GET /away": 404, "POST /there/1": 405, "OPTIONS /there/1": 204} {
		t.Run(target, func(t *testing.T) {
			method, path, _ := strings.Cut(target, " ")
			s := &spy{}
			want := serve(build(), method, path)
			got := serve(build(echomw.Wrap(s.Handler), echomw.Wrap(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Pattern != "" {
						t.Errorf("no route: got pattern %q", r.Pattern)
					}
					next.ServeHTTP(w, r)
				})
			})), method, path)
			if s.status != status {
				t.Errorf("seen: got %d, want %d", s.status, status)
			}
			if got.Code != want.Code || got.Body.String() != want.Body.String() || fmt.Sprint(got.Header()) != fmt.Sprint(want.Header()) {
				t.Errorf("sent: got %d %v %q, want %d %v %q", got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		})
	}
}

// The error handler runs once inside, however many middlewares there are, and
// outer middlewares still get the error.
func TestErrorsGoOn(t *testing.T) {
	e := newEcho()
	fail, handled := errors.New("no"), 0
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		if r, _ := echo.UnwrapResponse(c.Response()); r.Committed {
			return
		}
		handled++
		_ = c.String(418, fmt.Sprint(err, c.Request().Context().Value(ctxKey{})))
	}
	var further error
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { further = next(c); return further }
	})
	e.Use(echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, " value")))
		})
	}), echomw.Wrap(identity), echomw.Wrap(identity))
	e.GET("/", func(*echo.Context) error { return fail })
	w := serve(e, "GET", "/")
	if w.Code != 418 || w.Body.String() != "no value" || handled != 1 || !errors.Is(further, fail) {
		t.Errorf("got %d %q, handled %d times, outer %v", w.Code, w.Body, handled, further)
	}
}

// A response that has begun is not for the error handler, but for the last time,
// which is Echo's own.
func TestLeavesWhatHasBegun(t *testing.T) {
	e := newEcho()
	called := 0
	e.HTTPErrorHandler = func(*echo.Context, error) { called++ }
	e.GET("/", func(c *echo.Context) error {
		if r, err := echo.UnwrapResponse(c.Response()); err != nil || r.Status != http.StatusOK || r.Committed {
			t.Errorf("before: %+v, %v", r, err)
		}
		_ = c.String(200, "half")
		return errors.New("no")
	}, echomw.Wrap(identity), echomw.Wrap(identity))
	if w := serve(e, "GET", "/"); w.Body.String() != "half" || called != 1 {
		t.Errorf("got %q, the error handler was called %d times", w.Body, called)
	}
}

func TestStops(t *testing.T) {
	for name, tc := range map[string]struct {
		write  func(http.ResponseWriter)
		status int
		body   string
	}{
		"with a body":    {func(w http.ResponseWriter) { http.Error(w, "later", http.StatusTooManyRequests) }, 429, "later\n"},
		"with a status":  {func(w http.ResponseWriter) { w.WriteHeader(503) }, 503, ""},
		"without status": {func(w http.ResponseWriter) { io.WriteString(w, "from the store") }, 200, "from the store"},
		"with a flush":   {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, 200, ""},
	} {
		for _, path := range []string{"/there", "/away"} {
			t.Run(name+path, func(t *testing.T) {
				var after string
				e := newEcho()
				e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
					return func(c *echo.Context) error {
						err := next(c)
						r, _ := echo.UnwrapResponse(c.Response())
						after = fmt.Sprint(r.Status, r.Committed, err)
						return err
					}
				})
				e.Use(echomw.Wrap(func(http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tc.write(w) })
				}))
				e.GET("/there", func(*echo.Context) error { t.Error("the handler ran"); return nil })
				w := serve(e, "GET", path)
				if want := fmt.Sprint(tc.status, true, nil); w.Code != tc.status || w.Body.String() != tc.body || after != want {
					t.Errorf("got %d %q, seen by the outer handler %s; want %d %q, %s", w.Code, w.Body, after, tc.status, tc.body, want)
				}
			})
		}
	}
}

func TestCallsTheMiddlewareOnce(t *testing.T) {
	calls := 0
	m := echomw.Wrap(func(next http.Handler) http.Handler { calls++; return next })
	e := newEcho()
	e.Use(m)
	e.Use(echomiddleware.RequestID())
	g := e.Group("/g", m)
	g.GET("/a", func(c *echo.Context) error { return c.String(200, "a") })
	g.GET("/b", func(c *echo.Context) error { return c.String(200, "b") })
	for range 3 {
		if got := serve(e, "GET", "/g/a").Body.String() + serve(e, "GET", "/g/b").Body.String(); got != "ab" {
			t.Fatalf("got %q, want ab", got)
		}
	}
	if calls != 1 {
		t.Errorf("the middleware was called %d times, want once", calls)
	}
}

type ctxKey struct{}

func TestPassesTheRequestOn(t *testing.T) {
	replace := echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), ctxKey{}, "value"))
			cancel()
			r = r.WithContext(ctx)
			r.Body = io.NopCloser(strings.NewReader("another body"))
			next.ServeHTTP(spyWriter{w, &spy{}}, r)
		})
	})
	for _, panics := range []bool{false, true} {
		e := newEcho()
		e.Use(echomiddleware.Recover())
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				w, r := c.Response(), c.Request()
				defer func() {
					if c.Response() != w || c.Request() != r {
						t.Errorf("panics %v: response or request are not those of before", panics)
					}
				}()
				return next(c)
			}
		})
		e.POST("/", func(c *echo.Context) error {
			if panics {
				panic("oh")
			}
			body, _ := io.ReadAll(c.Request().Body)
			return c.String(200, fmt.Sprintf("%v %s %v", c.Request().Context().Value(ctxKey{}), body, c.Request().Context().Err()))
		}, replace, echomw.Wrap(identity))
		w := serve(e, "POST", "/")
		if got, want := fmt.Sprint(w.Code, w.Body), "200 value another body context canceled"; !panics && got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if panics && w.Code != 500 {
			t.Errorf("after a panic: got %d, want 500", w.Code)
		}
	}
}

func TestSaysThatTheContextIsLost(t *testing.T) {
	e := newEcho()
	e.GET("/", func(c *echo.Context) error { return nil }, echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(context.Background())) })
	}))
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "echomw: ") {
			t.Errorf("panic: got %q, want one of echomw", p)
		}
	}()
	serve(e, "GET", "/")
}

func TestPatterns(t *testing.T) {
	cases := map[string]struct{ path, target, pattern, values, key string }{
		"static":        {"/a/b", "/a/b", "GET /a/b", "", "/a/b"},
		"wildcard":      {"/orders/:id/pay", "/orders/7/pay", "GET /orders/{id}/pay", "id=7", "/orders/{}/pay"},
		"two":           {"/a/:x/:y", "/a/1/2", "GET /a/{x}/{y}", "x=1 y=2", "/a/{}/{}"},
		"with a prefix": {"/user_:name", "/user_ann", "GET /user_{name}", "name=ann", "/user_{}"},
		"the rest":      {"/files/*", "/files/a/b", "GET /files/{*...}", "*=a/b", "/files/"},
		"a colon":       {`/users\:batch`, "/users:batch", "GET /users:batch", "", "/users:batch"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ran := false
			check := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Pattern != tc.pattern {
						t.Errorf("pattern: got %q, want %q", r.Pattern, tc.pattern)
					}
					var want []string
					for pair := range strings.FieldsSeq(tc.values) {
						key, value, _ := strings.Cut(pair, "=")
						want = append(want, value)
						if got := r.PathValue(key); got != value {
							t.Errorf("value of %s: got %q, want %q", key, got, value)
						}
					}
					if key, err := lockkey.Pattern(r); err != nil || key != lockmw.Join(append([]string{tc.key}, want...)...) {
						t.Errorf("key of the lock: %q, %v", key, err)
					}
					ran = true
					next.ServeHTTP(w, r)
				})
			}
			e := newEcho()
			e.GET(tc.path, func(c *echo.Context) error {
				if c.Request().Pattern != tc.pattern {
					t.Errorf("pattern in the handler: got %q", c.Request().Pattern)
				}
				return nil
			}, echomw.Wrap(identity), echomw.Wrap(check))
			serve(e, "GET", tc.target)
			if !ran {
				t.Fatal("the middleware did not run")
			}
		})
	}
}
