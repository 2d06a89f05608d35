package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Lives is for how long a response may be used, from the moment it is stored. The age
// that it has by then is subtracted.
type Lives struct {
	Fresh                              time.Duration // at most 0: it must be validated each time
	StaleWhileRevalidate, StaleIfError time.Duration // after that, see RFC 5861
	Keep                               time.Duration // in the store: for these, and to be validated
	Strict                             bool          // never to be served stale
	Implicit                           bool          // nothing says that it may be stored
}

// Serves reports whether what is stored can be served without waiting for the handler:
// fresh, or stale while it is refreshed.
func (l Lives) Serves() bool { return l.Fresh > 0 || l.StaleWhileRevalidate > 0 && !l.Strict }

// Beyond is how long a response may be served after it was fresh, while it is refreshed
// (RFC 5861, section 3).
func (l Lives) Beyond() time.Duration {
	if l.Strict {
		return 0
	}
	return l.StaleWhileRevalidate
}

// maxHeuristic bounds a guess: a tenth of the time since Last-Modified can be months.
const maxHeuristic = 24 * time.Hour

// lifetimes of a response (RFC 9111, section 4.2.1): s-maxage, then max-age,
// then Expires, then what the options say, then a guess. The last two are
// implicit: not for requests with a cookie. A response that has no lifetime, is not
// public, and whose status is not cacheable by itself has none at all: it must not be
// stored (section 3), not even to be validated.
func (rs *Rules) lifetimes(r *http.Request, res Response, t Terms, now time.Time) Lives {
	h, fresh, implicit := res.Header, t.Fresh, false
	switch {
	case t.Explicit:
	case !t.Has("public") && !guessable(res.Status):
		return Lives{}
	case t.Has("no-cache"):
	case len(r.Header["Cookie"]) > 0 && !t.Has("public"):
		return Lives{} // nothing says that it is for all, and it may be for one
	case rs.DefaultTTL > 0 && !t.spoken() && Successful(res.Status):
		fresh, implicit = rs.DefaultTTL, true
	default:
		implicit = !t.Has("public")
		if modified, err := parseTime(h.Get("Last-Modified")); err == nil && rs.Heuristic {
			fresh = min(date(h, now).Sub(modified)/10, maxHeuristic)
		}
	}
	l := Lives{Fresh: max(fresh-res.Age, 0), Implicit: implicit, Strict: t.Strict()}
	if t.Has("no-cache") {
		l.Fresh = 0
	}
	if !l.Strict {
		l.StaleWhileRevalidate, _ = t.Seconds("stale-while-revalidate")
		l.StaleIfError, _ = t.Seconds("stale-if-error")
	}
	l.Fresh = min(l.Fresh, rs.MaxTTL)
	l.StaleWhileRevalidate, l.StaleIfError = min(l.StaleWhileRevalidate, rs.MaxTTL), min(l.StaleIfError, rs.MaxTTL)
	l.Keep = l.Fresh + max(l.StaleWhileRevalidate, l.StaleIfError)
	if h.Get("ETag") != "" || h.Get("Last-Modified") != "" {
		l.Keep = max(l.Keep, l.Fresh+rs.Retention)
	}
	return l
}

// Successful reports whether WithDefaultTTL counts for a status. 206 is none of them: a
// part is not stored.
func Successful(status int) bool {
	return status == http.StatusOK || status == http.StatusNonAuthoritativeInfo || status == http.StatusNoContent
}

// guessable are the codes that are heuristically cacheable (RFC 9110, section 15.1).
func guessable(status int) bool {
	return slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status)
}

// InitialAge is the age that a response from another cache has already: the larger one
// of its Age and of the time since its Date (RFC 9111, section 4.2.3, without the
// response delay, which the caller adds). Of a list the first member counts, and what is no
// number does not (section 5.1).
func InitialAge(h http.Header, now time.Time) time.Duration {
	var age time.Duration
	if lines := h["Age"]; len(lines) > 0 {
		item, _ := cutItem(lines[0])
		age, _ = deltaSeconds(strings.TrimSpace(item))
	}
	if at, err := parseTime(h.Get("Date")); err == nil {
		age = max(age, now.Sub(at).Truncate(time.Second))
	}
	return age
}
