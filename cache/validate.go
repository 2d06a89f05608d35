package cache

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// outdates makes a stored response stale that the response to a HEAD shows to be
// another than the current one (RFC 9111, section 4.3.5).
func (a *attempt) outdates(status int, h http.Header) {
	e := a.f.Entry
	if a.r.Method != http.MethodHead || status != http.StatusOK || e == nil || e.Status != http.StatusOK || a.f.Left() <= 0 {
		return
	}
	same := true
	for _, name := range []string{"Etag", "Last-Modified"} {
		if got := h.Get(name); got != "" && got != e.Header.Get(name) {
			same = false
		}
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n != e.Size {
		same = false
	}
	if !same {
		a.c.store.Invalidate(a.r.Context(), a.f.Mark(true))
	}
}

// validated responds with the stored response that a 304 has made fresh (RFC
// 9111, section 4.3.4).
func (a *attempt) validated(h http.Header) {
	c, now := a.c, time.Now()
	merged := *a.f.Entry
	merged.Header = rules.Updated(a.f.Entry.Header, h, now)
	merged.Added = slices.Concat(merged.Added, rules.AddedTo(a.before, a.w.Header()))
	slices.Sort(merged.Added)
	merged.Added = slices.Compact(merged.Added)
	merged.Age = rules.InitialAge(merged.Header, now)
	if len(h["Age"]) == 0 && len(h["Date"]) == 0 { // as old as its validation
		merged.Age = 0
		merged.Header.Set("Date", now.UTC().Format(http.TimeFormat))
		delete(merged.Header, "Age")
	}
	get := *a.r
	get.Method = http.MethodGet // which what is stored answers, also to a HEAD
	a.s.Stored = a.assess(&get, &merged, now) == "" && a.f.Reachable()
	rules.AddVary(merged.Header, rules.VaryNames(a.around))
	restore(a.w.Header(), a.before)
	for _, line := range h["Set-Cookie"] { // of this client alone
		a.w.Header().Add("Set-Cookie", line)
	}
	shown := a.f
	shown.Entry, shown.Elapsed, shown.Soft = &merged, 0, false
	a.e = nil
	if !merged.Serves() || !a.s.Stored {
		a.releaseWaiters()
	}
	a.own = maps.Clone(merged.Header) // what is shown; more than that has come late
	a.own["Set-Cookie"] = h["Set-Cookie"]
	a.after = func() {
		a.around = a.alsoLate(merged.Status)
		if a.s.Stored && a.assess(&get, &merged, now) == "" { // as the handler left it
			rules.AddVary(merged.Header, rules.VaryNames(a.around))
			a.keep(&merged)
		}
	}
	if !a.quiet {
		c.answer(a.w, a.r, &shown, a.s)
	}
}

// stale responds with a stale response instead of an error.
func (a *attempt) stale(status int) {
	a.s.ForwardStatus, a.s.Detail = status, "stale-if-error"
	restore(a.w.Header(), a.before)
	a.releaseWaiters()
	a.after = func() {}
	if !a.quiet {
		a.c.answer(a.w, a.r, &a.f, a.s)
	}
}
