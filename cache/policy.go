package cache

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What may be answered from the store and what may be stored: pure functions
// of requests and responses. A reason is the detail of Cache-Status, "" for yes.

// bypass says why a request is none of the cache's business.
func (c *config) bypass(r *http.Request) string {
	switch {
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "request-body" // its content is not part of the key
	case len(r.Header["Upgrade"]) > 0:
		return "upgrade"
	case c.skip != nil && c.skip(r):
		return "rule"
	}
	return ""
}

// unstorable says why a response must not be stored. h is what the handler
// set, around what outer middlewares did, and t what both say.
func (c *config) unstorable(r *http.Request, e *entry, around http.Header, t terms) string {
	status, h := e.status, e.header
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case status == 0:
		return "nothing-written"
	case status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified:
		return "status"
	case t.has("must-understand") && !understood(status):
		return "status"
	case len(h["Set-Cookie"]) > 0 || len(around["Set-Cookie"]) > 0:
		return "set-cookie"
	case len(h["Trailer"]) > 0:
		return "trailer"
	case t.has("no-store"):
		return "no-store"
	case t.has("private"):
		return "private"
	case len(r.Header["Authorization"]) > 0 && !t.shared:
		return "authorization"
	case slices.ContainsFunc(together("Content-Type", h, around), eventStream):
		return "event-stream"
	case c.unselectable(varyNames(http.Header{"Vary": together("Vary", h, around)})):
		return "vary"
	}
	if n := h.Get("Content-Length"); n != "" {
		if size, ok := deltaSeconds(n); ok && size > time.Duration(c.maxBody)*time.Second {
			return "too-large"
		}
	}
	return ""
}

func eventStream(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(kind, " \t"), "text/event-stream")
}

// unselectable reports whether nothing is stored that varies by these fields.
func (c *config) unselectable(names []string) bool {
	return len(names) > maxVary || slices.ContainsFunc(names, func(name string) bool {
		return name == "*" || name == "Authorization" || name == "Cookie" && !c.varyCookie
	})
}

// forAll reports whether a response to a request with Authorization may be
// shared (RFC 9111, section 3.5).
func forAll(d control) bool {
	return d.has("public") || d.has("must-revalidate") || d.has("s-maxage")
}

// understood are the final status codes this cache knows the meaning of
// (section 3).
func understood(status int) bool { return http.StatusText(status) != "" }

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
func (c *config) lifetimes(r *http.Request, e *entry, t terms, now time.Time) lives {
	h, fresh, implicit := e.header, t.fresh, false
	switch {
	case t.explicit:
	case t.has("no-cache"):
	case len(r.Header["Cookie"]) > 0 && !t.has("public"):
		return lives{} // nothing says that it is for all, and it may be for one
	case c.defaultTTL > 0 && !t.spoken() && successful(e.status):
		fresh, implicit = c.defaultTTL, true
	default:
		implicit = !t.has("public")
		if modified, err := parseTime(h.Get("Last-Modified")); err == nil && c.heuristic && (guessable(e.status) || !implicit) {
			fresh = min(date(h, now).Sub(modified)/10, maxHeuristic)
		}
	}
	l := lives{fresh: max(fresh-e.age, 0), implicit: implicit, strict: t.strict()}
	if t.has("no-cache") {
		l.fresh = 0
	}
	if !l.strict {
		l.swr, _ = t.seconds("stale-while-revalidate")
		l.sie, _ = t.seconds("stale-if-error")
	}
	l.fresh = min(l.fresh, c.maxTTL)
	l.swr, l.sie = min(l.swr, c.maxTTL), min(l.sie, c.maxTTL)
	l.keep = l.fresh + max(l.swr, l.sie)
	if h.Get("ETag") != "" || h.Get("Last-Modified") != "" {
		l.keep = max(l.keep, l.fresh+c.retention)
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

func date(h http.Header, now time.Time) time.Time {
	if at, err := parseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
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

var errTime = errors.New("not an HTTP date")

// parseTime reads an HTTP date in its three forms (RFC 9110, section 5.6.7),
// of exactly that shape: package time takes one digit for two, and any number of spaces.
func parseTime(s string) (time.Time, error) {
	const long, ansi = len(http.TimeFormat), len(time.ANSIC)
	_, obsolete, _ := strings.Cut(s, ", ")
	switch {
	case len(s) == long && strings.EqualFold(s[long-3:], "GMT"):
		s = s[:long-3] + "GMT"
	case len(s) == ansi:
	case len(obsolete) == len("02-Jan-06 15:04:05 GMT"):
	default:
		return time.Time{}, errTime
	}
	return http.ParseTime(s)
}

// wants says whether a request takes an answer of this age with so much
// freshness left, which may be negative (section 5.2.1).
func wants(d control, h http.Header, age, fresh time.Duration) bool {
	if d.has("no-cache") || len(h["Cache-Control"]) == 0 && strings.EqualFold(strings.TrimSpace(h.Get("Pragma")), "no-cache") {
		return false
	}
	if limit, ok := d.seconds("max-age"); ok && age > limit {
		return false
	}
	if limit, ok := d.seconds("min-fresh"); ok && fresh < limit {
		return false
	}
	return true
}

// toleratesStale is max-stale, with or without a limit.
func toleratesStale(d control, fresh time.Duration) bool {
	arg, ok := d["max-stale"]
	if !ok {
		return false
	}
	limit, _ := d.seconds("max-stale")
	return arg == "" || -fresh <= limit
}
