package cache

import (
	"net/http"
	"time"
)

// response is what a handler has made, as far as its header tells.
type response struct {
	status int
	header http.Header
	around http.Header   // what outer middlewares say, see [Rules.around]
	age    time.Duration // that it has already
	mine   bool          // the handler has read who asks
}

// verdict is how a response may be stored and used.
type verdict struct {
	lives
	tags   []string
	shared bool // it may answer requests with Authorization
	steady bool // it is immutable (RFC 8246)
}

// assess says how the response to r may be used, and why it must not be stored, ""
// if it may.
func (rs *Rules) assess(r *http.Request, res response, now time.Time) (v verdict, reason string) {
	t := rs.terms(res, now)
	tags, ok := tagsOf(res.tagging())
	v = verdict{lives: rs.lifetimes(r, res, t, now), tags: tags, shared: t.shared, steady: t.has("immutable")}
	if reason := rs.unstorable(r, res, t); reason != "" {
		return v, reason
	}
	switch {
	case !ok:
		return v, "tags"
	case !t.forAll && res.mine:
		return v, "session"
	case v.keep >= time.Millisecond:
		return v, ""
	case t.has("no-cache"):
		return v, "no-cache" // and nothing to validate with
	}
	return v, "not-fresh"
}

// tagging are the fields with the tags of all.
func (res response) tagging() http.Header {
	h := http.Header{}
	for _, name := range []string{"Surrogate-Key", "Cache-Tag", "Cache-Groups"} {
		h[name] = res.all(name)
	}
	return h
}

// all are the values that all have given to a field.
func (res response) all(name string) []string { return together(name, res.header, res.around) }
