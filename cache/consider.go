package cache

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/personal"
)

// consider decides whether the response is stored.
func (a *attempt) consider(status int, h http.Header) {
	now := time.Now()
	if a.f.target == "" || a.s.Detail != "" && a.f.reachable() {
		return // none of the cache's business
	}
	e := entry{status: status, age: rules.InitialAge(h, now), delta: now.Sub(a.begun), header: h}
	if detail := a.assess(a.r, &e, now); detail != "" {
		if a.s.Detail == "" {
			a.s.Detail = detail
		}
		return
	}
	a.s.Stored = a.f.reachable()
	e.header = rules.StoredHeader(h, now)
	rules.AddVary(e.header, rules.VaryNames(a.around))
	a.e = &e
}

// assess sets how e, the response to r, may be used, or says why it must not be
// stored.
func (a *attempt) assess(r *http.Request, e *entry, now time.Time) (detail string) {
	v, detail := a.c.rules.Assess(r, rules.Response{Status: e.status, Header: e.header, Around: a.around, Age: e.age, Mine: personal.Touched(a.r.Context())}, now)
	e.Lives, e.tags = v.Lives, v.Tags
	e.flags &^= sharedFlag | steadyFlag
	if v.Shared {
		e.flags |= sharedFlag
	}
	if v.Steady {
		e.flags |= steadyFlag
	}
	return detail
}
