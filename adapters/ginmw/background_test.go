package ginmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
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
		clone := r.Clone(context.WithoutCancel(r.Context()))
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

// Many requests end, their Contexts serve others, and all that was to be made
// beside them is made of their own parameters and values.
func TestCallsBesideTheRequest(t *testing.T) {
	l := &later{over: make(chan struct{}), made: map[string]int{}}
	s := &spy{}
	e := gin.New()
	e.Use(func(c *gin.Context) { c.Set("set", c.Request.URL.Path) })
	e.GET("/page/:n", ginmw.Wrap((&spy{}).Handler), ginmw.Wrap(l.Handler), ginmw.Wrap(identity), func(c *gin.Context) {
		set, _ := c.Get("set")
		c.Set("later", true)
		_ = c.Error(errors.New("an error of a background call"))
		if c.Request.PathValue("n") != c.Param("n") || c.FullPath() != "/page/:n" {
			t.Errorf("path value %q, param %q, path %q", c.Request.PathValue("n"), c.Param("n"), c.FullPath())
		}
		c.String(201, "%s %v", c.Param("n"), set)
	})
	e.GET("/other/:n/:m", ginmw.Wrap(s.Handler), func(c *gin.Context) { c.Set("set", "other"); c.String(200, "other") })
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
		if want := fmt.Sprintf("/page/%d 201 %d /page/%d", i, i, i); l.made[want] != 1 {
			t.Errorf("%q was made %d times: %v", want, l.made[want], l.made)
			break
		}
	}
}

// A copy and the request itself at the same time.
func TestShadowsARequest(t *testing.T) {
	var wg sync.WaitGroup
	e := gin.New()
	e.Use(func(c *gin.Context) { c.Set("a", 1) })
	e.GET("/:n", ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			clone := r.Clone(context.WithoutCancel(r.Context()))
			wg.Go(func() { next.ServeHTTP(httptest.NewRecorder(), clone) })
			next.ServeHTTP(w, r)
		})
	}), func(c *gin.Context) {
		c.Set("b", c.Param("n"))
		_ = c.Error(errors.New("noted"))
		c.String(200, c.GetString("b"))
	})
	for i := range 50 {
		if got := serve(e, "GET", fmt.Sprint("/", i)).Body.String(); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
	wg.Wait()
}

// opaque is a writer of before http.ResponseController.
type opaque struct{ http.ResponseWriter }

// A writer that does not say what it is around is still the client's.
func TestKeepsTheContextBehindAnOpaqueWriter(t *testing.T) {
	e := gin.New()
	noted := ""
	e.Use(func(c *gin.Context) { c.Next(); noted = c.Errors.String() + c.GetString("set") })
	e.GET("/", ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(opaque{w}, r) })
	}), func(c *gin.Context) {
		c.Set("set", "by the handler")
		_ = c.AbortWithError(500, errors.New("noted"))
	})
	if w := serve(e, "GET", "/"); w.Code != 500 || noted != "Error #01: noted\nby the handler" {
		t.Errorf("got %d, outer %q", w.Code, noted)
	}
}

// rejecting drops responses of 500 and above on the way to the client.
type rejecting struct {
	http.ResponseWriter
	status int
}

func (w *rejecting) WriteHeader(status int) {
	if w.status = status; status < 500 {
		w.ResponseWriter.WriteHeader(status)
	}
}

// The next handler can be called again, for a response that has not begun.
func TestTriesAgain(t *testing.T) {
	for name, try := range map[string]func(http.Handler, http.ResponseWriter, *http.Request) int{
		"buffered": func(next http.Handler, w http.ResponseWriter, r *http.Request) int {
			rec := httptest.NewRecorder()
			if next.ServeHTTP(rec, r); rec.Code < 500 {
				w.WriteHeader(rec.Code)
				rec.Body.WriteTo(w)
			}
			return rec.Code
		},
		"in place": func(next http.Handler, w http.ResponseWriter, r *http.Request) int {
			rw := &rejecting{w, 0}
			next.ServeHTTP(rw, r)
			return rw.status
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := gin.New()
			tries := 0
			e.GET("/:n", ginmw.Wrap(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for range 3 {
						if try(next, w, r) < 500 {
							return
						}
					}
				})
			}), func(c *gin.Context) {
				if tries++; tries < 3 {
					c.AbortWithStatus(503)
					return
				}
				c.String(200, "%s at last", c.Param("n"))
			})
			if w := serve(e, "GET", "/7"); w.Code != 200 || w.Body.String() != "7 at last" || tries != 3 {
				t.Errorf("got %d %q after %d tries", w.Code, w.Body, tries)
			}
		})
	}
}

// http.TimeoutHandler returns while its handler still runs.
func TestTimesOut(t *testing.T) {
	release, ended := make(chan struct{}), make(chan string, 1)
	e := gin.New()
	e.GET("/slow/:n", ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.TimeoutHandler(next, time.Millisecond, "too slow")
	}), func(c *gin.Context) {
		<-release
		ended <- c.Param("n")
		c.String(200, "late")
	})
	e.GET("/fast/:n", func(c *gin.Context) { c.String(200, c.Param("n")) })
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
