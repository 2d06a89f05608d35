package routertest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/adapters/echomw"
	"github.com/redishttp/redishttp/adapters/ginmw"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultWriter, gin.DefaultErrorWriter = io.Discard, io.Discard
	redistest.Main(m)
}

type middleware = func(http.Handler) http.Handler

// exchange is a request in a handler, which answers in the way of its router.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	id    string                                           // of the path
	send  func(status int, contentType, body string) error // with a body
	empty func(status int) error                           // without
	fail  func(status int) error                           // with an error, whatever that is there
	crash func() error                                     // with an error of no kind
	under func() http.ResponseWriter                       // of the router's own writer
}

// handler is one for all routers: what it returns it got from its exchange.
type handler func(x *exchange) error

// router builds an application: middlewares around everything, and around the
// routes, which are all of one pattern.
type router struct {
	name  string
	build func(app) http.Handler
}

type app struct {
	global, local []middleware
	methods       []string
	h             handler
}

// The pattern of all routes, as net/http says it.
const pattern = "/case/{id}"

func routers() []router {
	return []router{{"net_http", standard}, {"chi", aroundChi}, {"chi_use", useChi}, {"gin", useGin}, {"echo", useEcho}}
}

func wrap(h http.Handler, all []middleware) http.Handler {
	for _, a := range slices.Backward(all) {
		h = a(h)
	}
	return h
}

func stdlib(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{w: w, r: r, id: r.PathValue("id")}
		wrote := false
		x.send = func(status int, contentType, body string) error {
			wrote = true
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, err := io.WriteString(w, body)
			return err
		}
		x.empty = func(status int) error { w.WriteHeader(status); return nil }
		x.fail = func(status int) error {
			if !wrote { // as the others look after it
				http.Error(w, http.StatusText(status), status)
			}
			return nil
		}
		x.crash = func() error { return x.fail(http.StatusInternalServerError) }
		x.under = func() http.ResponseWriter { return w }
		_ = h(x)
	}
}

func standard(a app) http.Handler {
	mux := http.NewServeMux()
	for _, method := range a.methods {
		mux.Handle(method+" "+pattern, wrap(stdlib(a.h), a.local))
	}
	return wrap(mux, a.global)
}

// ownRouteContext is what a cache in chi's Use needs, as in docs/cache.md.
func ownRouteContext(ctx context.Context) context.Context {
	theirs, own := chi.RouteContext(ctx), chi.NewRouteContext()
	if theirs == nil {
		return ctx // another router, or around this one
	}
	own.Routes, own.RoutePath, own.RouteMethod = theirs.Routes, theirs.RoutePath, theirs.RouteMethod
	own.RoutePatterns = slices.Clone(theirs.RoutePatterns)
	own.URLParams.Keys, own.URLParams.Values = slices.Clone(theirs.URLParams.Keys), slices.Clone(theirs.URLParams.Values)
	return context.WithValue(ctx, chi.RouteCtxKey, own)
}

// aroundChi is a cache around the router, which needs nothing.
func aroundChi(a app) http.Handler {
	global := a.global
	a.global = nil
	return wrap(useChi(a), global)
}

func useChi(a app) http.Handler {
	mux := chi.NewRouter()
	mux.Use(a.global...)
	for _, method := range a.methods {
		mux.With(a.local...).Method(method, pattern, stdlib(a.h))
	}
	return mux
}

var errHandler = errors.New("the handler failed")

func useGin(a app) http.Handler {
	adapt := func(all []middleware) (handlers []gin.HandlerFunc) {
		for _, m := range all {
			handlers = append(handlers, ginmw.Wrap(m))
		}
		return handlers
	}
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(adapt(a.global)...)
	for _, method := range a.methods {
		engine.Handle(method, "/case/:id", append(adapt(a.local), func(c *gin.Context) {
			x := &exchange{w: c.Writer, r: c.Request, id: c.Param("id")}
			x.send = func(status int, contentType, body string) error {
				c.Data(status, contentType, []byte(body))
				return nil
			}
			x.empty = func(status int) error { c.Status(status); return nil }
			x.fail = func(status int) error { return c.AbortWithError(status, errHandler) }
			x.crash = func() error { return x.fail(http.StatusInternalServerError) }
			x.under = func() http.ResponseWriter { return c.Writer }
			_ = a.h(x)
		})...)
	}
	return engine
}

func useEcho(a app) http.Handler {
	adapt := func(all []middleware) (handlers []echo.MiddlewareFunc) {
		for _, m := range all {
			handlers = append(handlers, echomw.Wrap(m))
		}
		return handlers
	}
	e := echo.NewWithConfig(echo.Config{Logger: slog.New(slog.DiscardHandler)})
	e.Use(adapt(a.global)...)
	for _, method := range a.methods {
		e.Add(method, "/case/:id", func(c *echo.Context) error {
			x := &exchange{w: c.Response(), r: c.Request(), id: c.Param("id")}
			x.send = func(status int, contentType, body string) error { return c.Blob(status, contentType, []byte(body)) }
			x.empty = c.NoContent
			x.fail = func(status int) error { return echo.NewHTTPError(status, strings.ToLower(http.StatusText(status))) }
			x.crash = func() error { return errHandler }
			x.under = func() http.ResponseWriter { // Echo's own takes a 103 for the answer
				response, _ := echo.UnwrapResponse(c.Response())
				return response.Unwrap()
			}
			return a.h(x)
		}, adapt(a.local)...)
	}
	return e
}
