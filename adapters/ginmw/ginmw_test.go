package ginmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultWriter, gin.DefaultErrorWriter = io.Discard, io.Discard
	os.Exit(m.Run())
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
// gets: the same as from gin alone.
func TestSeesTheResponse(t *testing.T) {
	cases := map[string]struct {
		handler gin.HandlerFunc
		status  int
		body    string
	}{
		"200":             {func(c *gin.Context) { c.String(200, "hello") }, 200, "hello"},
		"201 JSON":        {func(c *gin.Context) { c.JSON(201, gin.H{"a": 1}) }, 201, `{"a":1}`},
		"a status only":   {func(c *gin.Context) { c.Status(202) }, 202, ""},
		"200 only":        {func(c *gin.Context) { c.Status(200) }, 200, ""},
		"204":             {func(c *gin.Context) { c.Status(204) }, 204, ""},
		"304":             {func(c *gin.Context) { c.Status(304) }, 304, ""},
		"302":             {func(c *gin.Context) { c.Redirect(302, "/there") }, 302, "<a href=\"/there\">Found</a>.\n\n"},
		"status changed":  {func(c *gin.Context) { c.Status(500); c.String(200, "after all") }, 200, "after all"},
		"write":           {func(c *gin.Context) { io.WriteString(c.Writer, "bytes") }, 200, "bytes"},
		"write bytes":     {func(c *gin.Context) { c.Writer.Write([]byte("bytes")) }, 200, "bytes"},
		"abort":           {func(c *gin.Context) { c.AbortWithStatus(403) }, 403, ""},
		"abort with body": {func(c *gin.Context) { c.AbortWithStatusJSON(400, gin.H{}) }, 400, "{}"},
		"abort and error": {func(c *gin.Context) { _ = c.AbortWithError(500, errors.New("no")) }, 500, ""},
		"nothing":         {func(*gin.Context) {}, 0, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &spy{}
			bare, wrapped := gin.New(), gin.New()
			bare.GET("/", tc.handler)
			wrapped.GET("/", ginmw.Wrap(s.Handler), tc.handler)
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

// gin writes its own error pages when all handlers have returned.
func TestSeesThePagesOfTheRouter(t *testing.T) {
	build := func(noRoute gin.HandlerFunc, use ...gin.HandlerFunc) *gin.Engine {
		e := gin.New()
		e.HandleMethodNotAllowed = true
		e.Use(use...)
		e.GET("/there", func(c *gin.Context) { c.String(200, "ok") })
		if noRoute != nil {
			e.NoRoute(noRoute)
		}
		return e
	}
	cases := map[string]struct {
		noRoute      gin.HandlerFunc
		method, path string
		status       int
		body         string
	}{
		"404":            {nil, "GET", "/away", 404, "404 page not found"},
		"405":            {nil, "POST", "/there", 405, "405 method not allowed"},
		"own 404":        {func(c *gin.Context) { c.String(404, "lost?") }, "GET", "/away", 404, "lost?"},
		"own 404, write": {func(c *gin.Context) { io.WriteString(c.Writer, "lost?") }, "GET", "/away", 404, "lost?"},
		"own 200":        {func(c *gin.Context) { c.Status(200) }, "GET", "/away", 200, ""},
		"silent":         {func(*gin.Context) {}, "GET", "/away", 404, "404 page not found"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &spy{}
			want := serve(build(tc.noRoute), tc.method, tc.path)
			got := serve(build(tc.noRoute, ginmw.Wrap(s.Handler), ginmw.Wrap(identity)), tc.method, tc.path)
			if s.status != tc.status || s.body.String() != tc.body {
				t.Errorf("seen: got %d %q, want %d %q", s.status, s.body.String(), tc.status, tc.body)
			}
			if got.Code != want.Code || got.Body.String() != want.Body.String() || fmt.Sprint(got.Header()) != fmt.Sprint(want.Header()) {
				t.Errorf("sent: got %d %v %q, want %d %v %q", got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		})
	}
}

// A middleware that answers itself stops the chain, on routes and where there is none.
func TestStops(t *testing.T) {
	refuse := func(write func(http.ResponseWriter)) gin.HandlerFunc {
		return ginmw.Wrap(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w) })
		})
	}
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
				e := gin.New()
				e.Use(func(c *gin.Context) {
					c.Next()
					after = fmt.Sprint(c.Writer.Status(), c.IsAborted())
				})
				e.Use(refuse(tc.write))
				e.Use(func(*gin.Context) { t.Error("a later middleware ran") })
				e.GET("/there", func(*gin.Context) { t.Error("the handler ran") })
				w := serve(e, "GET", path)
				if w.Code != tc.status || w.Body.String() != tc.body || after != fmt.Sprint(tc.status, true) {
					t.Errorf("got %d %q, seen by the outer handler %s; want %d %q", w.Code, w.Body, after, tc.status, tc.body)
				}
			})
		}
	}
}

func TestCallsTheMiddlewareOnce(t *testing.T) {
	calls := 0
	e := gin.New()
	e.Use(ginmw.Wrap(func(next http.Handler) http.Handler { calls++; return next }))
	e.GET("/a", func(c *gin.Context) { c.String(200, "a") })
	e.GET("/b", func(c *gin.Context) { c.String(200, "b") })
	for range 3 {
		if got := serve(e, "GET", "/a").Body.String() + serve(e, "GET", "/b").Body.String(); got != "ab" {
			t.Fatalf("got %q, want ab", got)
		}
	}
	if calls != 1 {
		t.Errorf("the middleware was called %d times, want once", calls)
	}
}

type ctxKey struct{}

// What a middleware replaces is seen by later handlers, and by no outer one.
func TestPassesTheRequestOn(t *testing.T) {
	replace := ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), ctxKey{}, "value"))
			cancel()
			r = r.WithContext(ctx)
			r.Body = io.NopCloser(strings.NewReader("another body"))
			next.ServeHTTP(spyWriter{w, &spy{}}, r)
		})
	})
	for _, panics := range []bool{false, true} {
		e := gin.New()
		e.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(500) }))
		e.Use(func(c *gin.Context) {
			w, r := c.Writer, c.Request
			defer func() {
				if c.Writer != w || c.Request != r {
					t.Errorf("panics %v: writer or request are not those of before", panics)
				}
			}()
			c.Next()
		})
		e.POST("/", replace, ginmw.Wrap(identity), func(c *gin.Context) {
			if panics {
				panic("oh")
			}
			body, _ := io.ReadAll(c.Request.Body)
			c.String(200, "%v %s %v", c.Request.Context().Value(ctxKey{}), body, c.Request.Context().Err())
		})
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
	e := gin.New()
	e.GET("/", ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(context.Background())) })
	}), func(c *gin.Context) { c.Status(200) })
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "ginmw: ") {
			t.Errorf("panic: got %q, want one of ginmw", p)
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
		"the rest":      {"/files/*rest", "/files/a/b", "GET /files/{rest...}", "rest=a/b", "/files/"},
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
			e := gin.New()
			e.GET(tc.path, ginmw.Wrap(identity), ginmw.Wrap(check), func(c *gin.Context) {
				if c.Request.Pattern != tc.pattern {
					t.Errorf("pattern in the handler: got %q", c.Request.Pattern)
				}
			})
			r := httptest.NewRequest("GET", tc.target, nil)
			e.ServeHTTP(httptest.NewRecorder(), r)
			if !ran {
				t.Fatal("the middleware did not run")
			}
			if r.Pattern != "" {
				t.Errorf("the server's request was changed: %q", r.Pattern)
			}
		})
	}
	e := gin.New()
	e.Use(ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Pattern != "" {
				t.Errorf("no route: got pattern %q", r.Pattern)
			}
		})
	}))
	serve(e, "GET", "/away")
}
