package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// lives is for how long a response may be used, from the moment it is stored.
type lives struct {
	fresh    time.Duration // at most 0: it must be validated each time
	swr, sie time.Duration // after that, see RFC 5861
	keep     time.Duration // in the store: for these, and to be validated
	strict   bool          // never to be served stale
	implicit bool          // nothing says that it may be stored
}

// serves reports whether what is stored can be served without the handler, and
// be it while it is refreshed.
func (l lives) serves() bool { return l.fresh > 0 || l.swr > 0 && !l.strict }

// beyond is how long a response may be served after it was fresh, while it is refreshed.
func (l lives) beyond() time.Duration {
	if l.strict {
		return 0
	}
	return l.swr
}

// maxHeuristic bounds a guess.
const maxHeuristic = 24 * time.Hour

// lifetimes of a response (RFC 9111, section 4.2.1): s-maxage, then max-age,
// then Expires, then what the options say, then a guess. The last two are
// implicit: not for requests with a cookie.
func (rs *Rules) lifetimes(r *http.Request, res response, t terms, now time.Time) lives {
	h, fresh, implicit := res.header, t.fresh, false
	switch {
	case t.explicit:
	case t.has("no-cache"):
	case len(r.Header["Cookie"]) > 0 && !t.has("public"):
		return lives{} // nothing says that it is for all, and it may be for one
	case rs.DefaultTTL > 0 && !t.spoken() && successful(res.status):
		fresh, implicit = rs.DefaultTTL, true
	default:
		implicit = !t.has("public")
		if modified, err := parseTime(h.Get("Last-Modified")); err == nil && rs.Heuristic && (guessable(res.status) || !implicit) {
			fresh = min(date(h, now).Sub(modified)/10, maxHeuristic)
		}
	}
	l := lives{fresh: max(fresh-res.age, 0), implicit: implicit, strict: t.strict()}
	if t.has("no-cache") {
		l.fresh = 0
	}
	if !l.strict {
		l.swr, _ = t.seconds("stale-while-revalidate")
		l.sie, _ = t.seconds("stale-if-error")
	}
	l.fresh = min(l.fresh, rs.MaxTTL)
	l.swr, l.sie = min(l.swr, rs.MaxTTL), min(l.sie, rs.MaxTTL)
	l.keep = l.fresh + max(l.swr, l.sie)
	if h.Get("ETag") != "" || h.Get("Last-Modified") != "" {
		l.keep = max(l.keep, l.fresh+rs.Retention)
	}
	return l
}

func explicitFreshness(h http.Header, d control, targeted bool, now time.Time) (fresh time.Duration, explicit bool) {
	if fresh, ok := d.seconds("s-maxage"); ok {
		return fresh, true
	}
	if fresh, ok := d.seconds("max-age"); ok {
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

func successful(status int) bool {
	return status == http.StatusOK || status == http.StatusNonAuthoritativeInfo || status == http.StatusNoContent
}

// guessable are the codes that are heuristically cacheable (RFC 9110, section 15.1).
func guessable(status int) bool {
	return slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status)
}

// initialAge is what a response that comes from another cache has already
// (RFC 9111, sections 4.2.3 and 5.1): of a list the first counts, what is no
// number does not.
func initialAge(h http.Header, now time.Time) time.Duration {
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
