package rules

import (
	"net/http"
	"time"
)

// response is what a handler has made, as far as its header tells.
type Response struct {
	Status int
	Header http.Header
	Around http.Header   // what outer middlewares say, see [Rules.around]
	Age    time.Duration // that it has already
	Mine   bool          // the handler has read who asks
}

// verdict is how a response may be stored and used.
type verdict struct {
	Lives
	Tags   []string
	Shared bool // it may answer requests with Authorization
	Steady bool // it is immutable (RFC 8246)
}

// assess says how the response to r may be used, and why it must not be stored, ""
// if it may.
func (rs *Rules) Assess(r *http.Request, res Response, now time.Time) (v verdict, reason string) {
	t := rs.Terms(res, now)
	tags, ok := tagsOf(res.tagging())
	v = verdict{Lives: rs.lifetimes(r, res, t, now), Tags: tags, Shared: t.shared, Steady: t.Has("immutable")}
	if reason := rs.unstorable(r, res, t); reason != "" {
		return v, reason
	}
	switch {
	case !ok:
		return v, "tags"
	case !t.ForAll && res.Mine:
		return v, "session"
	case v.Keep >= time.Millisecond:
		return v, ""
	case t.Has("no-cache"):
		return v, "no-cache" // and nothing to validate with
	}
	return v, "not-fresh"
}

// tagging are the fields with the tags of all.
func (res Response) tagging() http.Header {
	h := http.Header{}
	for _, name := range []string{"Surrogate-Key", "Cache-Tag", "Cache-Groups"} {
		h[name] = res.all(name)
	}
	return h
}

// all are the values that all have given to a field.
func (res Response) all(name string) []string { return together(name, res.Header, res.Around) }
