package cache

import (
	"net/http"
	"strconv"
	"strings"
)

// identifies reports whether a 304 with these fields is about the response that
// is stored (RFC 9111, section 4.3.4): its validators are those of that one.
// Without any it answers our condition.
func identifies(h, stored http.Header) bool {
	if etag := h.Get("Etag"); etag != "" {
		if !strings.HasPrefix(etag, "W/") {
			return etag == stored.Get("Etag")
		}
		return opaque(etag) == opaque(stored.Get("Etag"))
	}
	modified := h.Get("Last-Modified")
	return modified == "" || modified == stored.Get("Last-Modified")
}

func opaque(etag string) string { return strings.TrimPrefix(etag, "W/") }

// again calls the handler once more, without our condition: its 304 was about
// another response than the stored one, which therefore answers nothing.
func (a *attempt) again() {
	restore(a.w.Header(), a.before)
	a.after = func() {
		b := a.c.attempt(a.w, a.r)
		b.given, b.around = a.given, a.around
		b.d, b.f, b.s, b.fl, b.quiet = a.d, a.f, a.s, a.fl, a.quiet
		b.f.entry, b.s.ForwardStatus = nil, 0
		a.f.lease = "" // it is that one's now
		b.run(a.next)
	}
}

// outdates makes a stored response stale that the response to a HEAD shows to be
// another than the current one (RFC 9111, section 4.3.5).
func (a *attempt) outdates(status int, h http.Header) {
	e := a.f.entry
	if a.r.Method != http.MethodHead || status != http.StatusOK || e == nil || e.status != http.StatusOK || a.f.left() <= 0 {
		return
	}
	same := true
	for _, name := range []string{"Etag", "Last-Modified"} {
		if got := h.Get(name); got != "" && got != e.header.Get(name) {
			same = false
		}
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n != e.size {
		same = false
	}
	if !same {
		a.c.void(a.r.Context(), []string{a.f.log}, []string{"su:" + a.f.url})
	}
}
