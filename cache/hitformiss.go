package cache

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/store"
)

const (
	// hitForMissFor is how long requests do not wait for each other after a
	// response that was not stored.
	hitForMissFor = 10 * time.Second
	// hitForMissBriefly is the same after a response that may not last, such as an
	// error.
	hitForMissBriefly = time.Second
)

// releaseWaiters ends the wait of others for a response that will not help
// them, before its body is complete, once that happened twice running. After
// the first time the next one tries.
func (a *attempt) releaseWaiters() {
	if a.e != nil && a.e.Serves() && !a.f.Large || a.r.Context().Err() != nil {
		return // of a client that left, the response says nothing
	}
	d := hitForMissFor
	if a.s.ForwardStatus == 0 || a.s.ForwardStatus >= 500 || a.s.ForwardStatus == http.StatusNotModified || a.s.ForwardStatus == http.StatusPartialContent {
		d = hitForMissBriefly
	}
	switch {
	case a.lead == nil:
		// No request waits for this one, because of the mark. Renew it now and then, or
		// many would wait for a header each time that it expires.
		if a.f.HitForMiss && !a.f.Large && a.f.HitForMissLeft < hitForMissFor/2 && d == hitForMissFor && unshared(a.r) == "" {
			a.c.store.MarkHitForMiss(a.r.Context(), &a.f, store.ClassOf(a.r.Header), d)
		}
	case a.f.Large || a.c.store.MarkHitForMiss(a.r.Context(), &a.f, a.lead.of, d):
		a.c.flights.finish(a.lead.key, a.lead.flight, notStored)
	default:
		a.c.flights.finish(a.lead.key, a.lead.flight, abandoned)
	}
}

// tooLarge records that the body was too large, so that not each download is
// written and deleted.
func (a *attempt) tooLarge() {
	a.e = nil
	if !a.f.Large {
		a.f.Large = true
		a.c.store.MarkLarge(a.r.Context(), &a.f)
	}
	a.unkept()
}

// unkept ends the wait for a response that is not stored: the next one would
// not be stored either.
func (a *attempt) unkept() {
	if a.lead != nil {
		a.c.flights.finish(a.lead.key, a.lead.flight, notStored)
	}
}
