package cache

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/prefetch"
)

// handler is the cache around one handler.
type handler struct {
	c    *Cache
	next http.Handler
}

// ahead is a look-up that outer middlewares send with their own commands.
type ahead struct {
	prefetch.Question
	c     *Cache
	r     *http.Request
	look  *store.Ahead
	class prefetch.Class
	target
}

// target is what the place of a response follows from, without the functions of the
// options.
type target struct {
	host, uri string
	url       url.URL
	tls       bool
}

func targetOf(r *http.Request) target { return target{r.Host, r.RequestURI, *r.URL, r.TLS != nil} }

// Owner implements [prefetch.Handler].
func (h *handler) Owner() any { return h.c }

// Prefetch implements [prefetch.Handler]: the look-up is prefetched for a request that
// needs one, unless requests of its kind do not get here. What is inside is not asked:
// a hit does not reach it.
func (h *handler) Prefetch(b *prefetch.Batch, r *http.Request) {
	c := h.c
	class := prefetch.ClassOf(r)
	if !c.prefetch || c.panicked.Load() || !c.usage.Wanted(class) || rules.CanonicalHeader(r.Header) != nil {
		return
	}
	p, ok := c.placeAhead(r)
	if !ok {
		return
	}
	if _, near := c.store.Near(p, r.Header); near {
		return
	}
	look := c.store.Ahead(r.Context(), p, r.Header, unshared(r) == "" && c.waitMax > 0)
	if look == nil {
		return
	}
	q := &ahead{c: c, r: r, look: look, class: class, target: targetOf(r)}
	q.Question = prefetch.Question{Owner: c, Asker: q, Caller: look.Caller(), Key: look.Key(), Commands: look.Commands(), Timeout: look.Timeout()}
	b.Add(&q.Question)
}

// placeAhead returns where the response to a request is stored, before its turn. The
// functions of the options may rely on what a middleware in between puts into the
// context: if one panics, nothing is prefetched any more.
func (c *Cache) placeAhead(r *http.Request) (p store.Place, ok bool) {
	defer func() {
		if recover() != nil {
			c.panicked.Store(true)
		}
	}()
	if reason, _ := c.unstored(r, rules.ParseControl(r.Header)); reason != "" {
		return p, false
	}
	return c.placeOf(r), true
}

// Report implements [prefetch.Asker].
func (q *ahead) Report(err error) { q.look.Report(err) }

// Unused implements [prefetch.Asker].
func (q *ahead) Unused(outcome prefetch.Outcome) {
	q.look.Drop(outcome == prefetch.Answered)
	q.c.usage.Drop(q.class)
	q.c.prefetched(q.r.Context(), false)
}

// prefetched calls the hook.
func (c *Cache) prefetched(ctx context.Context, used bool) {
	if c.hooks.Prefetched != nil {
		c.hooks.Prefetched(ctx, used)
	}
}

// place returns where the response to the request is stored: where it was looked up
// before its turn, if nothing that decides it has changed.
func (x *exchange) place() store.Place {
	if c := x.c; x.owner != nil && c.scheme == nil && len(c.proxies) == 0 && c.varyBy == nil {
		if q, ok := prefetch.Asked(x.r.Context(), x.owner).(*ahead); ok && q.target == targetOf(x.r) {
			return q.look.Place()
		}
	}
	return x.c.placeOf(x.r)
}

// forgo drops what was prefetched for the exchange, which needs no look-up.
func (x *exchange) forgo() {
	if x.owner != nil {
		prefetch.Forgo(x.r.Context(), x.owner)
	}
}

// answer returns what was prefetched for the exchange. It reports false if nothing was,
// or if that does not answer it.
func (x *exchange) answer(p store.Place) (f store.Found, ok bool, err error) {
	c, ctx := x.c, x.r.Context()
	if x.owner == nil {
		return f, false, nil
	}
	taken, outcome := prefetch.Take(ctx, x.owner)
	if taken == nil {
		c.usage.Asked(prefetch.ClassOf(x.r))
		return f, false, nil
	}
	q, _ := taken.Asker.(*ahead)
	switch outcome {
	case prefetch.Answered:
		f, ok, err = c.store.Answer(ctx, q.look, p, x.r.Header)
		switch {
		case ok:
		case q.look.Asks(p, x.r.Header):
			c.usage.Drop(q.class)
		default:
			c.usage.Change(q.class)
		}
	case prefetch.Late:
		q.look.Drop(false)
		ok = true
		f, err = c.store.Late(p, x.r.Header)
	case prefetch.None:
		q.look.Drop(false)
	}
	if ok {
		c.usage.Take(q.class)
	}
	c.prefetched(ctx, ok)
	return f, ok, err
}
