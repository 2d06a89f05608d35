package cache

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/personal"
)

// consider decides whether the response is stored.
func (a *attempt) consider(status int, h http.Header) {
	now := time.Now()
	if a.f.target == "" || a.s.Detail != "" && a.f.inc != "" {
		return // none of the cache's business
	}
	e := entry{status: status, age: initialAge(h, now), delta: now.Sub(a.begun), header: h}
	if detail := a.assess(a.r, &e, now); detail != "" {
		if a.s.Detail == "" {
			a.s.Detail = detail
		}
		return
	}
	a.s.Stored = a.f.inc != ""
	e.header = storedHeader(h, now)
	addVary(e.header, varyNames(a.around))
	a.e = &e
}

// assess sets what follows from the status, the header and the age of e, the
// response to r, and from what outer middlewares say, or says why it must not be stored.
func (a *attempt) assess(r *http.Request, e *entry, now time.Time) (detail string) {
	t := a.c.terms(e.status, e.header, a.around, now)
	var ok bool
	e.tags, ok = tagsOf(http.Header{
		"Surrogate-Key": together("Surrogate-Key", e.header, a.around),
		"Cache-Tag":     together("Cache-Tag", e.header, a.around), "Cache-Groups": together("Cache-Groups", e.header, a.around),
	})
	e.lives = a.c.lifetimes(r, e, t, now)
	e.flags &^= sharedFlag | steadyFlag
	if t.shared {
		e.flags |= sharedFlag
	}
	if t.has("immutable") {
		e.flags |= steadyFlag
	}
	if detail := a.c.unstorable(r, e, a.around, t); detail != "" {
		return detail
	}
	switch {
	case !ok:
		return "tags"
	case !t.forAll && personal.Touched(a.r.Context()):
		return "session" // the handler has read who asks
	case e.keep >= time.Millisecond:
		return ""
	case t.has("no-cache"):
		return "no-cache" // and nothing to validate with
	}
	return "not-fresh"
}
