package ginmw

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/gin-gonic/gin"
)

// Wrap returns m for gin. It calls m once, now, as net/http would; the handler
// that m returns may be used by many requests at once.
//
// m must keep the values of the request's context, or its next handler panics:
// the request would have lost its gin.Context.
func Wrap(m func(next http.Handler) http.Handler) gin.HandlerFunc {
	key := new(contextKey)
	h := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, ok := r.Context().Value(key).(*call)
		if !ok {
			panic("ginmw: a middleware has taken the values from the request's context")
		}
		k.next(w, r)
	}))
	return func(c *gin.Context) {
		k := &call{c: c, header: c.Writer.Header(), status: c.Writer.Status(), size: c.Writer.Size()}
		copyInto(&k.before, c)
		h.ServeHTTP(k.outer.standard(c.Writer), routed(context.WithValue(c.Request.Context(), key, k), c))
		if !k.ran {
			c.Abort()
		}
	}
}

// contextKey is not empty, so that two of them are not at one address.
type contextKey struct{ _ byte }

// call is one request in one middleware.
type call struct {
	c      *gin.Context
	before gin.Context // a copy of c
	header http.Header // of the client's response
	status int         // set by an outer handler
	size   int
	ran    bool   // the rest of the chain, on c
	outer  plain  // what the middleware writes to
	inner  writer // what gin's later handlers write to
}

// next runs the rest of gin's chain.
func (k *call) next(w http.ResponseWriter, r *http.Request) {
	// The response header tells whether this call is for the client. A call that is
	// not may come at any time, from any goroutine.
	if !sameMap(w.Header(), k.header) || k.ran {
		c := new(gin.Context)
		copyInto(c, &k.before)
		k.run(c, new(writer), w, r)
		return
	}
	k.ran = true
	outer, request := k.c.Writer, k.c.Request
	defer func() { k.c.Writer, k.c.Request = outer, request }() // on a panic as well
	k.run(k.c, &k.inner, w, r)
}

func (k *call) run(c *gin.Context, in *writer, w http.ResponseWriter, r *http.Request) {
	*in = writer{ResponseWriter: w, ctx: r.Context(), status: k.status, size: k.size}
	c.Writer, c.Request = in, r
	c.Next()
	in.finish(c)
}

// sameMap reports whether two headers are one map. A writer that wraps another
// returns the header of that one; a writer for another response has its own.
func sameMap(a, b http.Header) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// copyInto makes d a copy of c on which the rest of the chain can run even when c is
// used for another request. It is tempting to use Context.Copy, but that leaves out
// the chain. The mutex that is copied is unlocked: it guards Keys against goroutines
// of later handlers, and none of them has started.
func copyInto(d, c *gin.Context) {
	reflect.ValueOf(d).Elem().Set(reflect.ValueOf(c).Elem())
	d.Params, d.Keys, d.Errors = slices.Clone(c.Params), maps.Clone(c.Keys), slices.Clone(c.Errors)
}
