package cache

import (
	"errors"
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// cleanUp releases a lease that was not used, and removes the pieces of what was not
// stored, however the attempt ends.
func (a *attempt) cleanUp() {
	if !a.filled {
		a.rec.drop()
	}
	a.c.store.release(a.f.detach())
}

// finish stores what was recorded, if it is whole.
func (a *attempt) finish() {
	ctx := a.r.Context()
	whole := a.e != nil && a.rec.on && !a.wrapper.Hijacked() && a.wrapper.Status() != 0 && ctx.Err() == nil &&
		(a.length < 0 || a.length == a.rec.size) && (a.e.status != http.StatusNoContent || a.rec.size == 0)
	if !whole || !a.rec.finish(a.e) {
		a.rec.drop()
		return
	}
	a.keep(a.e)
}

// keep stores an entry, or hands it to the requests that wait if Redis is away.
func (a *attempt) keep(e *entry) {
	c := a.c
	if !a.f.reachable() {
		if a.lead != nil && e.id == "" {
			names := rules.VaryNames(e.header)
			a.lead.response = &found{place: a.f.place, names: names, variant: c.rules.Variant(names, a.r.Header), entry: e}
			c.flights.finish(a.lead.key, a.lead.flight, stored)
		}
		return
	}
	err := c.store.fill(a.r.Context(), a.f, a.r.Header, e)
	switch {
	case err == nil:
		a.filled, a.f.lease = true, ""
		if a.lead != nil {
			c.flights.finish(a.lead.key, a.lead.flight, stored)
		}
	case errors.Is(err, errVary):
		a.e = nil
		a.releaseWaiters()
	default:
		a.unkept()
		c.failed(a.r.Context(), wrapped("store", err))
	}
}
