package echomw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/adapters/echomw"
)

func newLog(w io.Writer) *log.Logger { return log.New(w, "", 0) }

// later answers at once and calls the next handler when the request is over, for
// no client, as a cache does to refresh what it has.
type later struct {
	over chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	made map[string]int
}

func (l *later) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clone := r.WithContext(context.WithoutCancel(r.Context()))
		l.wg.Go(func() {
			<-l.over
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, clone)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.made[fmt.Sprint(clone.URL.Path, " ", rec.Code, " ", rec.Body)]++
		})
		io.WriteString(w, "stale")
	})
}

// counted is a middleware that counts.
func counted(n *atomic.Int64) echo.MiddlewareFunc {
	return echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.Add(1); next.ServeHTTP(w, r) })
	})
}

// Many requests end, their Contexts serve others, and all that was to be made
// beside them is made of their own parameters and values. What is outside of who calls
// does not run again, what is inside does.
func TestCallsBesideTheRequest(t *testing.T) {
	l := &later{over: make(chan struct{}), made: map[string]int{}}
	var outside, inside atomic.Int64
	e := newEcho()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { c.Set("set", c.Request().URL.Path); return next(c) }
	})
	e.Use(counted(&outside))
	e.Use(echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, "value")))
		})
	}))
	cached := e.Group("/page", echomw.Wrap(l.Handler), counted(&inside))
	cached.GET("/:n", func(c *echo.Context) error {
		r := c.Request()
		if r.PathValue("n") != c.Param("n") || r.Pattern != "GET /page/{n}" || r.Context().Value(ctxKey{}) != "value" {
			t.Errorf("path value %q, param %q, pattern %q, value %v", r.PathValue("n"), c.Param("n"), r.Pattern, r.Context().Value(ctxKey{}))
		}
		return echo.NewHTTPError(418, fmt.Sprint(c.Param("n"), " ", c.Get("set")))
	})
	e.GET("/other/:n/:m", func(c *echo.Context) error { c.Set("set", "other"); return c.String(200, "other") })
	const n = 50
	for i := range n {
		if got := serve(e, "GET", fmt.Sprint("/page/", i)).Body.String(); got != "stale" {
			t.Fatalf("got %q, want stale", got)
		}
	}
	close(l.over)
	for range n { // on the same Contexts
		if got := serve(e, "GET", "/other/x/y").Body.String(); got != "other" {
			t.Fatalf("got %q, want other", got)
		}
	}
	l.wg.Wait()
	for i := range n {
		if want := fmt.Sprintf("/page/%d 418 {\"message\":\"%d /page/%d\"}\n", i, i, i); l.made[want] != 1 {
			t.Errorf("%q was made %d times: %v", want, l.made[want], l.made)
			break
		}
	}
	if outside.Load() != 2*n || inside.Load() != n {
		t.Errorf("outside ran %d times, inside %d; want %d and %d", outside.Load(), inside.Load(), 2*n, n)
	}
}

// A call beside a request and the request itself at the same time, with what the
// two requests share.
func TestShadowsARequest(t *testing.T) {
	var wg sync.WaitGroup
	e := newEcho()
	e.GET("/:n", func(c *echo.Context) error {
		c.Set("b", c.Param("n")+c.Request().PathValue("n"))
		return c.String(200, c.Get("b").(string))
	}, echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shadow := r.WithContext(context.WithoutCancel(r.Context()))
			wg.Go(func() { next.ServeHTTP(httptest.NewRecorder(), shadow) })
			next.ServeHTTP(w, r)
		})
	}), echomw.Wrap(identity))
	for i := range 100 {
		if got := serve(e, "GET", fmt.Sprint("/", i)).Body.String(); got != fmt.Sprintf("%d%d", i, i) {
			t.Fatalf("got %q, want %d twice", got, i)
		}
	}
	wg.Wait()
}

// opaque is a writer of before http.ResponseController.
type opaque struct{ http.ResponseWriter }

// A writer that does not say what it is around is still the client's.
func TestKeepsTheContextBehindAnOpaqueWriter(t *testing.T) {
	e := newEcho()
	var further error
	var set any
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { further = next(c); set = c.Get("set"); return further }
	})
	fail := errors.New("no")
	e.GET("/", func(c *echo.Context) error { c.Set("set", "by the handler"); return fail }, echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(opaque{w}, r) })
	}))
	if w := serve(e, "GET", "/"); w.Code != 500 || !errors.Is(further, fail) || set != "by the handler" {
		t.Errorf("got %d, outer %v and %v", w.Code, further, set)
	}
}

// http.TimeoutHandler returns while its handler still runs.
func TestTimesOut(t *testing.T) {
	release, ended := make(chan struct{}), make(chan string, 1)
	e := newEcho()
	e.GET("/slow/:n", func(c *echo.Context) error {
		<-release
		ended <- c.Param("n")
		return c.String(200, "late")
	}, echomw.Wrap(func(next http.Handler) http.Handler {
		return http.TimeoutHandler(next, time.Millisecond, "too slow")
	}))
	e.GET("/fast/:n", func(c *echo.Context) error { return c.String(200, c.Param("n")) })
	if w := serve(e, "GET", "/slow/1"); w.Code != 503 || w.Body.String() != "too slow" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	for i := range 20 {
		if got := serve(e, "GET", fmt.Sprint("/fast/", i)).Body.String(); got != fmt.Sprint(i) {
			t.Errorf("got %q, want %d", got, i)
		}
	}
	close(release)
	if got := <-ended; got != "1" {
		t.Errorf("the slow handler's parameter became %q", got)
	}
}
