package cache

import (
	"net/http"
	"slices"
	"time"

	"github.com/redishttp/redishttp/internal/personal"
)

// settle decides again, when the handler has returned: it may have read the
// session since its header went out, and outer middlewares may have added
// fields when it did.
func (a *attempt) settle() {
	if a.e == nil {
		return
	}
	a.around = a.alsoLate()
	detail := a.assess(a.r, a.e, time.Now())
	addVary(a.e.header, varyNames(a.around))
	if detail == "" {
		return
	}
	a.rec.drop()
	a.e, a.s.Stored = nil, false
	if a.s.Detail == "" {
		a.s.Detail = detail
	}
	a.opened()
}

// alsoLate is what stands around with what has been added to the header after
// the handler had written its own. Two additions count for nothing: an outer compressor's
// Vary: Accept-Encoding, for it codes what is stored; and the Vary: Cookie of a
// session, if the handler itself says that its response is for all.
func (a *attempt) alsoLate() http.Header {
	var late http.Header
	for name, values := range a.c.around(a.w.Header()) {
		added := slices.DeleteFunc(slices.Clone(values), func(value string) bool {
			return slices.Contains(a.own[name], value) || slices.Contains(a.around[name], value)
		})
		if name == "Vary" {
			added = withoutVary(added, "Accept-Encoding")
			if personal.Touched(a.r.Context()) && a.c.termsOf(a.e.status, a.own, time.Now()).forAll {
				added = withoutVary(added, "Cookie")
			}
		}
		if len(added) == 0 {
			continue
		}
		if late == nil {
			late = http.Header{}
		}
		late[name] = slices.Concat(a.around[name], added)
	}
	if late == nil {
		return a.around
	}
	for name, values := range a.around {
		if late[name] == nil {
			late[name] = values
		}
	}
	return late
}
