package cache

import (
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// decision is what is done with a request.
type decision int

const (
	forward    decision = iota // call the handler
	serve                      // from the store
	serveStale                 // from the store, and refresh it (RFC 5861, section 3)
)

// unstored reports why a request is neither served from the store nor stored,
// "" if it may be.
func (c *Cache) unstored(r *http.Request, d rules.Control) (reason rules.ForwardReason, detail string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return rules.ForwardMethod, "" // first: it may invalidate
	}
	if detail := c.bypass(r); detail != "" {
		return rules.ForwardBypass, detail
	}
	if d.Has("no-store") {
		return rules.ForwardRequest, "no-store"
	}
	if o := c.outerOf(r.Context()); o != nil && o.forbids != "" {
		return rules.ForwardBypass, o.forbids
	}
	return "", ""
}

// visible is what a request may see of what was found: with Authorization only
// what is for all, with a cookie only what was said to be storable.
func (c *Cache) visible(r *http.Request, f store.Found) store.Found {
	if e := f.Entry; e != nil && (!e.Shared && len(r.Header["Authorization"]) > 0 || e.Implicit && len(r.Header["Cookie"]) > 0) {
		f.Entry, f.Reason = nil, rules.ForwardRequest
	}
	return c.permitted(r, f)
}

// decide says what may be done with what was found (RFC 9111, section 4).
func (c *Cache) decide(d rules.Control, r *http.Request, f *store.Found) decision {
	if f.Entry == nil {
		return forward
	}
	left := f.Left()
	switch {
	case !rules.Wants(d, r.Header, f.Age(), left):
		return forward
	case left > 0:
		return serve
	case f.Entry.Strict:
		return forward
	case rules.ToleratesStale(d, left):
		return serve
	case f.Entry.StaleWhileRevalidate > 0 && -left <= f.Entry.StaleWhileRevalidate:
		return serveStale
	}
	return forward
}

// onError reports whether a stale response may be served instead of an error (RFC
// 5861, section 4).
func onError(d rules.Control, f *store.Found) bool {
	if f.Entry == nil || f.Entry.Strict || d.Has("no-cache") {
		return false
	}
	requested, _ := d.Seconds("stale-if-error")
	window := max(f.Entry.StaleIfError, requested)
	return window > 0 && -f.Left() <= window
}

// bypass returns why a request bypasses the cache, "" if it does not.
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
