package cache

import (
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// Handler serves GET and HEAD requests from the store when it may, and stores
// what next responds when it may. Responses stream: the client gets each byte
// when the handler writes it. A stale response is validated with the handler
// (If-None-Match, If-Modified-Since). Of requests that miss the same response
// at the same time, on all instances, one calls the handler and the others wait
// for the store. An unsafe request that succeeds invalidates the stored
// responses of its URL before its own response is sent (RFC 9111, section 4.4).
//
// While Redis is unavailable next is called and Cache-Status has "fwd=bypass;
// detail=store-error": the client sees no error. A hit costs one round trip, a
// miss one more when the response is stored.
//
// Put it inside of sessions and rate limiters, and outside of compression.
// Authentication that rejects requests must be outside, or a hit bypasses it.
//
// Inside of a session or a limiter of this module it is looked up in their round
// trip, see [WithPrefetch].
func (c *Cache) Handler(next http.Handler) http.Handler { return &handler{c: c, next: next} }

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := h.c
	x := c.exchange(w, r, h.next)
	x.owner = h
	decision, err := x.lookup(unshared(x.r) == "")
	if err != nil {
		c.failed(r.Context(), err)
	}
	if x.f.Lease != "" {
		taken := x.f
		defer c.store.ReleaseUnused(&taken)
	}
	switch {
	case decision != forward:
		if decision == serveStale || c.early(&x.f) {
			c.refresh(x.r, h.next, x.f)
		}
		x.serve()
	case x.s.Forward == string(rules.ForwardMethod):
		x.passThrough()
	case x.d.Has("only-if-cached") && x.s.Detail != "upgrade":
		x.gatewayTimeout()
	case x.collapsible():
		x.collapse()
	default:
		c.store.ReleaseUnused(&x.f) // it belongs to the requests that collapse
		x.f.Lease = ""
		x.fetch()
	}
}

// exchange reads the request, and what outer middlewares have said by now.
func (c *Cache) exchange(w http.ResponseWriter, r *http.Request, next http.Handler) *exchange {
	r = c.annotate(w.Header(), r)
	return &exchange{c: c, w: w, r: r, next: next, d: c.demands(r)}
}

// gatewayTimeout rejects a request that must not be forwarded (RFC 9111, section
// 5.2.1.7).
func (x *exchange) gatewayTimeout() {
	x.s.Detail = "only-if-cached"
	x.reject(http.StatusGatewayTimeout)
}

// reject responds with an error of the cache itself.
func (x *exchange) reject(status int) {
	x.c.served(x.r.Context(), x.s)
	x.c.write(x.w.Header(), x.s)
	x.w.Header().Set("Cache-Control", "no-store")
	http.Error(x.w, http.StatusText(status), status)
}
