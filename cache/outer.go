package cache

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// outer is a request as the cache reads it, beside the one that the handler
// gets, with what outer middlewares had said about its response by then.
type outer struct {
	given    *http.Request // as it came, the handler's
	spelled  http.Header   // its fields, if their names are not all canonical
	around   http.Header   // see rules.Around
	forbids  string        // why they forbid a response from the store, "" if they do not
	validate bool          // they require its validation
	limited  bool          // they say how long it is fresh:
	fresh    time.Duration
	strict   bool     // they forbid a stale one
	vary     []string // fields they select by
}

// outerKey is the context key of a cache's outer: each Cache has its own.
type outerKey struct{ c *Cache }

// outerOf returns the outer of a request, nil for the usual one, to which
// nothing was added.
func (c *Cache) outerOf(ctx context.Context) *outer {
	q, _ := ctx.Value(outerKey{c}).(*outer)
	return q
}

// annotate returns the request to decide by. Its fields have their canonical
// names, and its context has what outer middlewares wrote into the header h.
func (c *Cache) annotate(h http.Header, r *http.Request) *http.Request {
	header, around := rules.CanonicalHeader(r.Header), c.rules.Around(h)
	if len(around) == 0 && header == nil && c.outerOf(r.Context()) == nil {
		return r
	}
	q := &outer{given: r, around: around}
	if len(around) > 0 {
		c.interpret(q)
	}
	mine := r.WithContext(context.WithValue(r.Context(), outerKey{c}, q))
	if header != nil {
		mine.Header, q.spelled = header, r.Header.Clone()
	}
	return mine
}

// given is the handler's request.
func (c *Cache) given(r *http.Request) *http.Request {
	if q := c.outerOf(r.Context()); q != nil {
		return q.given
	}
	return r
}

// carry returns ctx with what outer middlewares said about r, for a refresh,
// which has none.
func (c *Cache) carry(ctx context.Context, r *http.Request) context.Context {
	if q := c.outerOf(r.Context()); q != nil {
		return context.WithValue(ctx, outerKey{c}, q)
	}
	return ctx
}

// respelled is a request for the handler of a refresh, with the names that the
// fields had when it came.
func (c *Cache) respelled(r *http.Request) *http.Request {
	q := c.outerOf(r.Context())
	if q == nil || q.spelled == nil {
		return r
	}
	out := r.Clone(r.Context())
	for name, values := range q.spelled {
		key := textproto.CanonicalMIMEHeaderKey(name)
		if key == name || len(r.Header[key]) == 0 {
			continue // or the refresh does not send it
		}
		out.Header[name] = values
		if out.Header[key] = q.spelled[key]; out.Header[key] == nil {
			delete(out.Header, key)
		}
	}
	return out
}

// interpret reads what outer middlewares say: the same directives that decide
// whether the response is stored decide whether a stored one may be served.
func (c *Cache) interpret(q *outer) {
	t := c.rules.TermsOf(http.StatusOK, q.around, time.Now())
	q.vary, q.strict, q.validate = rules.VaryNames(q.around), t.Strict(), t.Has("no-cache")
	q.limited, q.fresh = t.Explicit, t.Fresh
	switch {
	case t.Has("no-store"):
		q.forbids = "no-store"
	case t.Has("private"):
		q.forbids = "private"
	case c.rules.Unselectable(q.vary):
		q.forbids = "vary"
	}
}

// demands returns what a request, and outer middlewares, demand of a stored
// response.
func (c *Cache) demands(r *http.Request) rules.Control {
	d := rules.ParseControl(r.Header)
	if q := c.outerOf(r.Context()); q != nil && q.validate {
		if d == nil {
			d = rules.Control{}
		}
		d["no-cache"] = ""
	}
	return d
}

// permitted returns what was found as far as outer middlewares let it be served
// for r.
func (c *Cache) permitted(r *http.Request, f store.Found) store.Found {
	q := c.outerOf(r.Context())
	if q == nil || f.Entry == nil {
		return f
	}
	for _, name := range q.vary {
		if !slices.Contains(f.Names, name) { // it was stored for any value of this field
			f.HitForMiss = f.HitForMiss || f.Fresh() // a request that misses does not wait for others
			f.Entry, f.Reason = nil, rules.ForwardVary
			return f
		}
	}
	strict, fresh := q.strict || f.Entry.Strict, f.Entry.Fresh
	if q.limited {
		fresh = min(fresh, q.fresh-f.Entry.Age)
	}
	if strict != f.Entry.Strict || fresh != f.Entry.Fresh {
		e, was := *f.Entry, f.Fresh() // others have found it too
		e.Strict, e.Fresh = strict, fresh
		f.Entry = &e
		f.HitForMiss = f.HitForMiss || was && !f.Fresh()
	}
	return f
}
