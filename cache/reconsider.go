package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/personal"
)

// reconsider decides again, when the handler has returned: it may have read the
// session since its header went out, and outer middlewares may have added
// fields when it did.
func (a *attempt) reconsider() {
	if a.e == nil {
		return
	}
	a.around = a.alsoLate(a.e.Status)
	detail := a.assess(a.r, a.e, time.Now())
	rules.AddVary(a.e.Header, rules.VaryNames(a.around))
	if detail == "" && a.trails() {
		detail = "trailer"
	}
	if detail == "" {
		return
	}
	a.rec.Drop()
	a.e, a.s.Stored = nil, false
	if a.s.Detail == "" {
		a.s.Detail = detail
	}
	a.releaseWaiters()
}

// trails reports whether the handler has added a trailer that it had not announced.
func (a *attempt) trails() bool {
	for name := range a.w.Header() {
		if strings.HasPrefix(name, http.TrailerPrefix) && a.before[name] == nil {
			return true
		}
	}
	return false
}

// alsoLate returns what outer middlewares say, with what has been added to the
// header after the handler had written its own. An outer compressor's Vary:
// Accept-Encoding does not count, because what is stored is not compressed. Nor
// does what a session adds for the client's cookie, if the handler itself says
// that its response is for all.
func (a *attempt) alsoLate(status int) http.Header {
	late := http.Header{}
	for name, values := range a.c.rules.Around(a.w.Header()) {
		added := slices.DeleteFunc(slices.Clone(values), func(value string) bool {
			return slices.Contains(a.own[name], value) || slices.Contains(a.around[name], value)
		})
		if name == "Vary" {
			added = rules.WithoutVary(added, "Accept-Encoding")
		}
		if len(added) > 0 {
			late[name] = added
		}
	}
	if len(late) > 0 && personal.Touched(a.r.Context()) && a.c.rules.TermsOf(status, a.own, time.Now()).ForAll {
		late["Vary"] = rules.WithoutVary(late["Vary"], "Cookie")
		if len(late["Set-Cookie"]) > 0 && slices.Equal(late["Cache-Control"], []string{"no-store"}) {
			delete(late, "Cache-Control")
			delete(late, "Set-Cookie")
		}
	}
	for name, values := range a.around {
		late[name] = slices.Concat(values, late[name])
	}
	return late
}
