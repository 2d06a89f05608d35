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

// assess sets how e, the response to r, may be used, or says why it must not be
// stored.
func (a *attempt) assess(r *http.Request, e *entry, now time.Time) (detail string) {
	v, detail := a.c.rules.assess(r, response{e.status, e.header, a.around, e.age, personal.Touched(a.r.Context())}, now)
	e.lives, e.tags = v.lives, v.tags
	e.flags &^= sharedFlag | steadyFlag
	if v.shared {
		e.flags |= sharedFlag
	}
	if v.steady {
		e.flags |= steadyFlag
	}
	return detail
}
