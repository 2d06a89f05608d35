package cache

import (
	"context"
	"net/http"
	"time"
)

// Handler answers GET and HEAD requests from the store when it may, and stores
// what next answers when it may. Responses stream: the client sees each byte
// when the handler writes it. A stale response is validated with the handler
// (If-None-Match, If-Modified-Since). Of requests that miss the same thing at
// once, on all instances, one calls the handler and the others wait for the
// store. An unsafe request that succeeds makes the stored responses of its URL
// void before its own response goes out (RFC 9111, section 4.4).
//
// A Redis that does not answer is not shown to the client: next is called and
// Cache-Status says "fwd=bypass; detail=store-error".
func (c *Cache) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = c.hear(w.Header(), r)
		d := c.demands(r)
		f, s, v := c.look(r, d)
		if f.lease != "" {
			took := f
			defer c.giveBack(&took)
		}
		switch {
		case v == serve || v == serveStale:
			if v == serveStale || c.early(&f) {
				c.refresh(r, next, f)
			}
			c.answer(w, r, &f, s)
		case s.Forward == "method":
			c.forward(w, r, next, s)
		case d.has("only-if-cached") && s.Detail != "upgrade":
			s.Detail = "only-if-cached"
			c.served(r.Context(), s)
			c.write(w.Header(), s)
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, http.StatusText(http.StatusGatewayTimeout), http.StatusGatewayTimeout)
		case c.collapsible(r, &f, s):
			c.collapse(w, r, next, d, f, s)
		default:
			f.lease = "" // for who collapses
			c.fetch(w, r, next, d, f, s, nil)
		}
	})
}

// verdict is what may be done with what was found.
type verdict int

const (
	forward    verdict = iota // ask the handler
	serve                     // from the store
	serveStale                // from the store, and refresh it (RFC 5861, section 3)
)

// look finds out what the store has for a request and what may be done with it.
func (c *Cache) look(r *http.Request, d control) (found, Status, verdict) {
	f, s, v, err := c.looked(r, d, lonely(r) == "")
	if err != nil {
		c.failed(r.Context(), err)
	}
	return f, s, v
}

// looked is look with its error; lease says whether this request would make
// what is missing.
func (c *Cache) looked(r *http.Request, d control, lease bool) (found, Status, verdict, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return found{}, Status{Forward: "method"}, forward, nil // first: it may invalidate
	}
	if reason := c.bypass(r); reason != "" {
		return found{}, Status{Forward: "bypass", Detail: reason}, forward, nil
	}
	if d.has("no-store") {
		return found{}, Status{Forward: "request", Detail: "no-store"}, forward, nil
	}
	if q := c.askedOf(r.Context()); q != nil && q.closed != "" {
		return found{}, Status{Forward: "bypass", Detail: q.closed}, forward, nil
	}
	p := c.placeOf(r)
	if f, ok := c.near.get(&c.config, p, r.Header); ok {
		f = c.seen(r, f)
		if c.judge(d, r, &f) == serve {
			return f, Status{Hit: true, TTL: f.left()}, serve, nil
		}
	}
	away := Status{Forward: "bypass", Detail: "store-error"}
	if c.pending.has(p.log) {
		return found{place: p, variant: c.variant(nil, r.Header)}, away, forward, errPending
	}
	gen, begun := c.gen.Load(), time.Now()
	f, err := c.ask(r.Context(), p, r.Header, lease)
	if err != nil {
		return f, away, forward, wrapped("look up", err)
	}
	if f.fresh() && c.gen.Load() == gen {
		c.near.put(f, begun)
	}
	f = c.seen(r, f)
	v := c.judge(d, r, &f)
	if v != forward && !c.readable(r.Context(), &f) {
		f.entry, v = nil, forward
	}
	switch {
	case v != forward:
		return f, Status{Hit: true, TTL: f.left()}, v, nil
	case f.entry != nil && f.left() > 0:
		return f, Status{Forward: "request"}, v, nil
	case f.entry != nil:
		return f, Status{Forward: "stale"}, v, nil
	}
	return f, Status{Forward: f.state}, v, nil
}

// seen is what a request may see of what was found: one with Authorization only
// what is for all, one with a cookie only what somebody has said may be stored.
func (c *Cache) seen(r *http.Request, f found) found {
	if e := f.entry; e != nil && (e.flags&sharedFlag == 0 && len(r.Header["Authorization"]) > 0 || e.implicit && len(r.Header["Cookie"]) > 0) {
		f.entry, f.state = nil, "request"
	}
	return c.suits(r, f)
}

// judge says what may be done with what was found (RFC 9111, section 4).
func (c *Cache) judge(d control, r *http.Request, f *found) verdict {
	if f.entry == nil {
		return forward
	}
	left := f.left()
	switch {
	case !wants(d, r.Header, f.age(), left):
		return forward
	case left > 0:
		return serve
	case f.entry.strict:
		return forward
	case toleratesStale(d, left):
		return serve
	case f.entry.swr > 0 && -left <= f.entry.swr:
		return serveStale
	}
	return forward
}

// onError reports whether a stale response may stand in for an error (RFC 5861,
// section 4).
func onError(d control, f *found) bool {
	if f.entry == nil || f.entry.strict || d.has("no-cache") {
		return false
	}
	asked, _ := d.seconds("stale-if-error")
	window := max(f.entry.sie, asked)
	return window > 0 && -f.left() <= window
}

// lonely says why a request does not wait for others, "" if it does.
func lonely(r *http.Request) string {
	h := r.Header
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case len(h["Authorization"]) > 0 || len(h["Range"]) > 0:
		return "partial"
	case conditional(r):
		return "conditional"
	}
	return ""
}

// collapsible reports whether others can be waited for: what they get would do
// for this request too.
func (c *Cache) collapsible(r *http.Request, f *found, s Status) bool {
	if f.target == "" || f.open || c.waitMax == 0 || s.Forward == "request" {
		return false
	}
	return lonely(r) == "" || f.entry != nil && r.Method == http.MethodGet && len(r.Header["Authorization"]) == 0
}

func (c *Cache) served(ctx context.Context, s Status) {
	c.stats.count(s)
	if c.hooks.Served != nil {
		c.hooks.Served(ctx, s)
	}
}

func (c *Cache) failed(ctx context.Context, err error) {
	c.stats.failures.Add(1)
	if c.hooks.Failed != nil {
		c.hooks.Failed(ctx, err)
	}
}
