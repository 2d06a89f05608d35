package rules

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// Terms are what a response says about storing it.
type Terms struct {
	Control
	Fresh    time.Duration // its explicit lifetime, which may be negative (RFC 9111, section 4.2.1)
	Explicit bool          // it has one
	shared   bool          // it may answer requests with Authorization
	ForAll   bool          // the handler itself says that it depends on no client
}

// TermsOf reads the terms from one header: those of a targeted field if a valid one is
// there, else of Cache-Control, Expires and Pragma.
func (rs *Rules) TermsOf(status int, h http.Header, now time.Time) Terms {
	d, targeted := rs.directives(h)
	if d.Has("must-understand") && understood(status) && d.Has("no-store") {
		d = maps.Clone(d)
		delete(d, "no-store") // RFC 9111, section 5.2.2.3
	}
	if len(d) == 0 && strings.EqualFold(strings.Trim(h.Get("Pragma"), " \t"), "no-cache") {
		d = Control{"no-cache": ""} // not specified, and what it is sent for
	}
	t := Terms{Control: d, shared: forAll(d), ForAll: d.Has("public") || d.Has("s-maxage")}
	t.Fresh, t.Explicit = explicitFreshness(h, d, targeted, now)
	return t
}

// spoken reports whether the response says anything about storing it.
func (t Terms) spoken() bool { return len(t.Control) > 0 || t.Explicit }

// Strict reports whether the response must never be served stale (RFC 9111, section
// 4.2.4): s-maxage means proxy-revalidate too (section 5.2.2.10).
func (t Terms) Strict() bool {
	return t.Has("must-revalidate") || t.Has("proxy-revalidate") || t.Has("s-maxage") || t.Has("no-cache")
}

// permissions are the directives that only widen what may be done.
var permissions = map[string]bool{"public": true, "immutable": true, "stale-while-revalidate": true, "stale-if-error": true}

// Terms returns the terms of a handler and of the middlewares around it. The most
// restrictive of all hold: each may forbid and shorten. A permission of an outer
// middleware counts only where the handler says nothing, because it knows less of what
// the response depends on.
func (rs *Rules) Terms(res Response, now time.Time) Terms {
	t := rs.TermsOf(res.Status, res.Header, now)
	if len(res.Around) == 0 {
		return t
	}
	o := rs.TermsOf(res.Status, res.Around, now)
	spoken := t.spoken()
	d := Control{}
	maps.Copy(d, t.Control)
	for name, arg := range o.Control {
		if _, both := d[name]; both {
			d[name] = stricter(name, d[name], arg)
		} else if !spoken || !permissions[name] {
			d[name] = arg
		}
	}
	t.Control = d
	switch {
	case t.Explicit && o.Explicit:
		t.Fresh = min(t.Fresh, o.Fresh)
	case o.Explicit:
		t.Fresh, t.Explicit = o.Fresh, true
	}
	if !spoken {
		t.shared = o.shared
	}
	return t
}

// explicitFreshness is the lifetime that a response states, for a shared cache (RFC
// 9111, section 4.2.1). An invalid one, also a second Expires, is one of 0 (section 5.3).
func explicitFreshness(h http.Header, d Control, targeted bool, now time.Time) (fresh time.Duration, explicit bool) {
	if fresh, ok := d.Seconds("s-maxage"); ok {
		return fresh, true
	}
	if fresh, ok := d.Seconds("max-age"); ok {
		return fresh, true
	}
	expires := h["Expires"]
	if targeted || len(expires) == 0 {
		return 0, false
	}
	at, err := parseTime(expires[0])
	if err != nil || len(expires) > 1 {
		return 0, true
	}
	return at.Sub(date(h, now)), true
}

// forAll reports whether a response to a request with Authorization may be
// shared (RFC 9111, section 3.5).
func forAll(d Control) bool {
	return d.Has("public") || d.Has("must-revalidate") || d.Has("s-maxage")
}

// understood are the final status codes this cache knows the meaning of
// (section 3).
func understood(status int) bool { return http.StatusText(status) != "" }
