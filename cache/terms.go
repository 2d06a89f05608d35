package cache

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// terms are what a response says about keeping it.
type terms struct {
	control
	fresh    time.Duration // its explicit lifetime
	explicit bool          // it has one
	shared   bool          // it may answer requests with Authorization
	forAll   bool          // the handler itself says that it depends on no client
}

// termsOf reads them from one header.
func (rs *Rules) termsOf(status int, h http.Header, now time.Time) terms {
	d, targeted := rs.directives(h)
	if d.has("must-understand") && understood(status) && d.has("no-store") {
		d = maps.Clone(d)
		delete(d, "no-store") // RFC 9111, section 5.2.2.3
	}
	if len(d) == 0 && strings.EqualFold(strings.Trim(h.Get("Pragma"), " \t"), "no-cache") {
		d = control{"no-cache": ""} // not specified, and what it is sent for
	}
	t := terms{control: d, shared: forAll(d), forAll: d.has("public") || d.has("s-maxage")}
	t.fresh, t.explicit = explicitFreshness(h, d, targeted, now)
	return t
}

// spoken reports whether there is a word about keeping the response.
func (t terms) spoken() bool { return len(t.control) > 0 || t.explicit }

// strict reports whether the response must never be served stale.
func (t terms) strict() bool {
	return t.has("must-revalidate") || t.has("proxy-revalidate") || t.has("s-maxage") || t.has("no-cache")
}

// permissions are the directives that only widen what may be done.
var permissions = map[string]bool{"public": true, "immutable": true, "stale-while-revalidate": true, "stale-if-error": true}

// terms are those of a handler and of the middlewares around it. The most
// restrictive of all holds: each may forbid and shorten; what the handler has
// spoken about no other may permit.
func (rs *Rules) terms(res response, now time.Time) terms {
	t := rs.termsOf(res.status, res.header, now)
	if len(res.around) == 0 {
		return t
	}
	o := rs.termsOf(res.status, res.around, now)
	spoken := t.spoken()
	d := control{}
	maps.Copy(d, t.control)
	for name, arg := range o.control {
		if _, both := d[name]; both {
			d[name] = stricter(name, d[name], arg)
		} else if !spoken || !permissions[name] {
			d[name] = arg
		}
	}
	t.control = d
	switch {
	case t.explicit && o.explicit:
		t.fresh = min(t.fresh, o.fresh)
	case o.explicit:
		t.fresh, t.explicit = o.fresh, true
	}
	if !spoken {
		t.shared = o.shared
	}
	return t
}
