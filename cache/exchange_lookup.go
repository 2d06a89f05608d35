package cache

import (
	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// lookup reads what the store has for the request, and decides what is done
// with it. lease says whether this request would make what is missing.
func (x *exchange) lookup(lease bool) (decision, error) {
	c, r := x.c, x.r
	if reason, detail := c.unstored(r, x.d); reason != "" {
		x.forgo() // its lease would be held while the handler runs
		return x.forward(reason, detail), nil
	}
	p := x.place()
	if f, ok := c.store.Near(p, r.Header); ok {
		if f = c.visible(r, f); c.decide(x.d, r, &f) == serve {
			x.f = f
			x.forgo()
			return x.hit(serve), nil
		}
	}
	f, answered, err := x.answer(p)
	if !answered {
		f, err = c.store.Lookup(r.Context(), p, r.Header, lease && c.waitMax > 0)
	}
	if err != nil {
		x.f = f
		return x.forward(rules.ForwardBypass, "store-error"), store.Wrap("lookup", err)
	}
	x.f = c.visible(r, f)
	d := c.decide(x.d, r, &x.f)
	if d != forward && !c.store.Readable(r.Context(), &x.f) {
		x.f.Entry, d = nil, forward
	}
	switch {
	case d != forward:
		return x.hit(d), nil
	case x.f.Entry != nil && x.f.Left() > 0:
		return x.forward(rules.ForwardRequest, ""), nil
	case x.f.Entry != nil:
		return x.forward(rules.ForwardStale, ""), nil
	}
	return x.forward(x.f.Reason, ""), nil
}

// hit records a response from the store.
func (x *exchange) hit(d decision) decision {
	x.s = Status{Hit: true, TTL: x.f.Left()}
	return d
}

// forward records why the handler is called.
func (x *exchange) forward(reason rules.ForwardReason, detail string) decision {
	x.s = Status{Forward: string(reason), Detail: detail}
	return forward
}
