package echomw

import (
	"context"
	"net/http"
	"reflect"

	"github.com/labstack/echo/v5"
)

// Wrap returns m for Echo. It calls m once, now, as net/http would; the handler
// that m returns may be used by many requests at once.
//
// m must keep the values of the request's context, or its next handler panics:
// the request would have lost its echo.Context.
func Wrap(m func(next http.Handler) http.Handler) echo.MiddlewareFunc {
	key := new(contextKey)
	h := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, ok := r.Context().Value(key).(*call)
		if !ok {
			panic("echomw: a middleware has taken the values from the request's context")
		}
		k.serve(w, r, key)
	}))
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			request, response := c.Request(), c.Response()
			if caller, ok := request.Context().Value(background{}).(*contextKey); ok && caller != nil {
				if caller == key { // here it goes on
					c.SetRequest(request.WithContext(context.WithValue(request.Context(), background{}, (*contextKey)(nil))))
				}
				return next(c)
			}
			k := &call{c: c, echo: c.Echo(), next: next, header: response.Header(), outer: plain{response}}
			defer func() { // on a panic as well
				c.SetRequest(request)
				c.SetResponse(response)
			}()
			h.ServeHTTP(k.outer.expose(abilities(k.outer.Unwrap())), routed(context.WithValue(request.Context(), key, k), c))
			return k.err
		}
	}
}

// contextKey is not empty, so that two of them are not at one address.
type contextKey struct{ _ byte }

// background is in the context of a request that Echo serves again for a middleware:
// the key of that one, until it is reached.
type background struct{}

// call is one request in one middleware.
type call struct {
	c      *echo.Context // used for the client's call only
	echo   *echo.Echo
	next   echo.HandlerFunc
	header http.Header // of the client's response
	outer  plain       // what the middleware writes to
	err    error
}

// serve runs the rest of the chain, and Echo's error handler if it has to.
func (k *call) serve(w http.ResponseWriter, r *http.Request, key *contextKey) {
	// A call that is not for the client may come at any time, from any goroutine.
	if !sameMap(w.Header(), k.header) {
		k.echo.ServeHTTP(w, r.Clone(context.WithValue(r.Context(), background{}, key))) // Echo writes to what it routes
		return
	}
	response := echo.NewResponse(w, k.c.Logger())
	response.Status = http.StatusOK // as Echo's own begins
	k.c.SetRequest(r)
	k.c.SetResponse(response)
	if k.err = k.next(k.c); k.err != nil && !response.Committed {
		k.echo.HTTPErrorHandler(k.c, k.err)
	}
}

// sameMap reports whether two headers are one map. A writer that wraps another
// returns the header of that one; a writer for another response has its own.
func sameMap(a, b http.Header) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
