package cache

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/personal"
)

// consider decides whether the response is stored.
func (a *attempt) consider(status int, h http.Header) {
	now := time.Now()
	if a.f.Target == "" || a.s.Detail != "" && a.f.Reachable() {
		return // it bypasses the cache
	}
	e := store.Entry{Status: status, Age: rules.InitialAge(h, now), Delta: now.Sub(a.begun), Header: h}
	if detail := a.assess(a.r, &e, now); detail != "" {
		if a.s.Detail == "" {
			a.s.Detail = detail
		}
		return
	}
	a.s.Stored = a.f.Reachable()
	e.Header = rules.StoredHeader(h, now)
	rules.AddVary(e.Header, rules.VaryNames(a.around))
	a.e = &e
}

// assess sets how e, the response to r, may be used, or returns why it must not
// be stored.
func (a *attempt) assess(r *http.Request, e *store.Entry, now time.Time) (detail string) {
	res := rules.Response{Status: e.Status, Header: e.Header, Around: a.around, Age: e.Age, Personal: personal.Touched(a.r.Context())}
	e.Verdict, detail = a.c.rules.Assess(r, res, now)
	return detail
}
