package cache

import (
	"net/http"
	"strings"
	"time"
)

// What may be answered from the store and what may be stored: pure functions
// of requests and responses. A reason is the detail of Cache-Status, "" for yes.

// bypass says why a request is none of the cache's business.
func bypass(r *http.Request) string {
	switch {
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "request-body" // its content is not part of the key
	case len(r.Header["Authorization"]) > 0:
		return "authorization"
	case len(r.Header["Upgrade"]) > 0:
		return "upgrade"
	}
	return ""
}

// unstorable says why a response must not be stored. h is what the handler
// set, without the fields of middlewares further out.
func unstorable(r *http.Request, status int, h http.Header, maxBody int) string {
	c := parseControl(h)
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case status == 0:
		return "nothing-written"
	case status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified:
		return "status"
	case len(h["Content-Range"]) > 0:
		return "content-range"
	case len(h["Set-Cookie"]) > 0 || len(h["Set-Cookie2"]) > 0:
		return "set-cookie"
	case len(h["Trailer"]) > 0:
		return "trailer"
	case c.has("no-store"):
		return "no-store"
	case c.has("private"):
		return "private"
	case c.has("no-cache"):
		return "no-cache"
	case strings.HasPrefix(h.Get("Content-Type"), "text/event-stream"):
		return "event-stream"
	}
	for _, name := range varyNames(h) {
		if name == "*" || name == "Cookie" || name == "Authorization" {
			return "vary"
		}
	}
	if len(varyNames(h)) > maxVary {
		return "vary"
	}
	if n := h.Get("Content-Length"); n != "" && deltaSeconds(n) > time.Duration(maxBody)*time.Second {
		return "too-large"
	}
	return ""
}

// freshness is how long a response may be served (RFC 9111, section 4.2.1): s-maxage, then
// max-age, then Expires; nothing is guessed.
func freshness(h http.Header, now time.Time) time.Duration {
	c := parseControl(h)
	if d, ok := c.seconds("s-maxage"); ok {
		return d
	}
	if d, ok := c.seconds("max-age"); ok {
		return d
	}
	expires := h["Expires"]
	if len(expires) != 1 {
		return 0
	}
	at, err := http.ParseTime(expires[0])
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = now
	}
	return at.Sub(date)
}

// initialAge is what a response that comes from another cache has already
// (section 4.2.3).
func initialAge(h http.Header, now time.Time) time.Duration {
	var age time.Duration
	if v := h["Age"]; len(v) > 0 {
		item, _ := cutItem(v[0])
		age = deltaSeconds(strings.TrimSpace(item))
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		age = max(age, now.Sub(date).Truncate(time.Second))
	}
	return age
}

// acceptable says why a request wants something newer than a fresh response of
// this age (section 5.2.1).
func acceptable(c control, h http.Header, age, ttl time.Duration) bool {
	if c.has("no-cache") || len(h["Cache-Control"]) == 0 && strings.EqualFold(strings.TrimSpace(h.Get("Pragma")), "no-cache") {
		return false
	}
	if d, ok := c.seconds("max-age"); ok && age > d {
		return false
	}
	if d, ok := c.seconds("min-fresh"); ok && ttl < d {
		return false
	}
	return true
}

// hop are the fields that are not stored: of one connection (RFC 9110, section 7.6.1), of
// this cache, and those that tell one client its own numbers.
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authentication-Info": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Age": true, "Cache-Status": true, "Content-Length": true,
	"Ratelimit": true, "Ratelimit-Policy": true, "Retry-After": true,
}

// storedHeader is what of a handler's header goes into the store.
func storedHeader(h http.Header, now time.Time) http.Header {
	out := make(http.Header, len(h)+1)
	named := strings.ToLower(strings.Join(h["Connection"], ","))
	for name, values := range h {
		if hop[name] || strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, http.TrailerPrefix) || listed(named, name) {
			continue
		}
		out[name] = values
	}
	if out.Get("Date") == "" {
		out.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	return out
}

func listed(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// own is what the handler made of the header map it was given: fields that
// were there before belong to middlewares further out, which write to the same
// map, and so do the first values of a field that was added to.
func own(before, after http.Header) http.Header {
	out := make(http.Header, len(after))
	for name, values := range after {
		if len(values) == 0 {
			continue
		}
		old := before[name]
		shared := 0
		for shared < len(old) && shared < len(values) && old[shared] == values[shared] {
			shared++
		}
		if shared == len(old) {
			values = values[shared:]
		}
		if len(values) > 0 {
			out[name] = values
		}
	}
	return out
}
