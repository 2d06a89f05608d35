package cache

import (
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// decision is what is done with a request.
type decision int

const (
	forward    decision = iota // call the handler
	serve                      // from the store
	serveStale                 // from the store, and refresh it (RFC 5861, section 3)
)

// lookup finds out what the store has for the request, and decides what is done
// with it. lease says whether this request would make what is missing.
func (x *exchange) lookup(lease bool) (decision, error) {
	c, r := x.c, x.r
	if reason, detail := c.unstored(r, x.d); reason != "" {
		return x.forward(reason, detail), nil
	}
	p := c.placeOf(r)
	if f, ok := c.store.nearby(p, r.Header); ok {
		if f = c.visible(r, f); c.decide(x.d, r, &f) == serve {
			x.f = f
			return x.hit(serve), nil
		}
	}
	f, err := c.store.lookup(r.Context(), p, r.Header, lease && c.waitMax > 0)
	if err != nil {
		x.f = f
		return x.forward(forwardBypass, "store-error"), wrapped("lookup", err)
	}
	x.f = c.visible(r, f)
	d := c.decide(x.d, r, &x.f)
	if d != forward && !c.store.readable(r.Context(), &x.f) {
		x.f.entry, d = nil, forward
	}
	switch {
	case d != forward:
		return x.hit(d), nil
	case x.f.entry != nil && x.f.left() > 0:
		return x.forward(forwardRequest, ""), nil
	case x.f.entry != nil:
		return x.forward(forwardStale, ""), nil
	}
	return x.forward(x.f.reason, ""), nil
}

func (x *exchange) hit(d decision) decision {
	x.s = Status{Hit: true, TTL: x.f.left()}
	return d
}

func (x *exchange) forward(reason forwardReason, detail string) decision {
	x.s = Status{Forward: string(reason), Detail: detail}
	return forward
}

// unstored reports why a request is neither answered from the store nor stored,
// "" if it may be.
func (c *Cache) unstored(r *http.Request, d rules.Control) (reason forwardReason, detail string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return forwardMethod, "" // first: it may invalidate
	}
	if detail := c.bypass(r); detail != "" {
		return forwardBypass, detail
	}
	if d.Has("no-store") {
		return forwardRequest, "no-store"
	}
	if o := c.outerOf(r.Context()); o != nil && o.forbids != "" {
		return forwardBypass, o.forbids
	}
	return "", ""
}

// visible is what a request may see of what was found: with Authorization only
// what is for all, with a cookie only what was said to be storable.
func (c *Cache) visible(r *http.Request, f found) found {
	if e := f.entry; e != nil && (e.flags&sharedFlag == 0 && len(r.Header["Authorization"]) > 0 || e.Implicit && len(r.Header["Cookie"]) > 0) {
		f.entry, f.reason = nil, forwardRequest
	}
	return c.permitted(r, f)
}

// decide says what may be done with what was found (RFC 9111, section 4).
func (c *Cache) decide(d rules.Control, r *http.Request, f *found) decision {
	if f.entry == nil {
		return forward
	}
	left := f.left()
	switch {
	case !rules.Wants(d, r.Header, f.age(), left):
		return forward
	case left > 0:
		return serve
	case f.entry.Strict:
		return forward
	case rules.ToleratesStale(d, left):
		return serve
	case f.entry.StaleWhileRevalidate > 0 && -left <= f.entry.StaleWhileRevalidate:
		return serveStale
	}
	return forward
}

// onError reports whether a stale response may be served instead of an error (RFC
// 5861, section 4).
func onError(d rules.Control, f *found) bool {
	if f.entry == nil || f.entry.Strict || d.Has("no-cache") {
		return false
	}
	requested, _ := d.Seconds("stale-if-error")
	window := max(f.entry.StaleIfError, requested)
	return window > 0 && -f.left() <= window
}

// bypass says why a request is none of the cache's business.
func (c *config) bypass(r *http.Request) string {
	switch {
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "request-body" // its content is not part of the key
	case len(r.Header["Upgrade"]) > 0:
		return "upgrade"
	case c.skip != nil && c.skip(r):
		return "rule"
	}
	return ""
}
