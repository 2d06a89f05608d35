package cache

import (
	"errors"
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// cleanUp releases a lease that was not used, and removes the pieces of what was not
// stored, however the attempt ends.
func (a *attempt) cleanUp() {
	if !a.filled {
		a.rec.Drop()
	}
	a.c.store.Release(a.f.Detach())
}

// finish stores what was recorded, if it is whole.
func (a *attempt) finish() {
	ctx := a.r.Context()
	whole := a.e != nil && a.rec.On && !a.wrapper.Hijacked() && a.wrapper.Status() != 0 && ctx.Err() == nil &&
		(a.length < 0 || a.length == a.rec.Size) && (a.e.Status != http.StatusNoContent || a.rec.Size == 0)
	if !whole || !a.rec.Finish(a.e) {
		a.rec.Drop()
		return
	}
	a.keep(a.e)
}

// keep stores an entry, or hands it to the requests that wait while Redis is
// unavailable.
func (a *attempt) keep(e *store.Entry) {
	c := a.c
	if !a.f.Reachable() {
		if a.lead != nil && e.ID == "" {
			names := rules.VaryNames(e.Header)
			a.lead.response = &store.Found{Place: a.f.Place, Names: names, Variant: c.rules.Variant(names, a.r.Header), Entry: e}
			c.flights.finish(a.lead.key, a.lead.flight, stored)
		}
		return
	}
	err := c.store.Fill(a.r.Context(), a.f, a.r.Header, e)
	switch {
	case err == nil:
		a.filled, a.f.Lease = true, ""
		if a.lead != nil {
			c.flights.finish(a.lead.key, a.lead.flight, stored)
		}
	case errors.Is(err, store.ErrVary):
		a.e = nil
		a.releaseWaiters()
	default:
		a.unkept()
		c.failed(a.r.Context(), store.Wrap("store", err))
	}
}
