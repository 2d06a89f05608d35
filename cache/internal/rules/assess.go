package rules

import (
	"net/http"
	"time"
)

// Verdict is how a response may be stored and used. It is stored with the response.
type Verdict struct {
	Lives
	Tags      []string // sorted, for a purge by tag
	Shared    bool     // it may answer requests with Authorization (RFC 9111, section 3.5)
	Immutable bool     // it is neither validated nor refreshed before it is stale (RFC 8246)
}

// Assess returns how the response to r may be used, and the reason why it must not be
// stored (RFC 9111, section 3): the detail of Cache-Status (RFC 9211, section 2.8), "" if it
// may be.
func (rs *Rules) Assess(r *http.Request, res Response, now time.Time) (v Verdict, reason string) {
	t := rs.Terms(res, now)
	tags, ok := tagsOf(res.tagging())
	v = Verdict{Lives: rs.lifetimes(r, res, t, now), Tags: tags, Shared: t.shared, Immutable: t.Has("immutable")}
	if reason := rs.unstorable(r, res, t); reason != "" {
		return v, reason
	}
	switch {
	case !ok:
		return v, "tags"
	case !t.ForAll && res.Personal:
		return v, "session"
	case v.Keep >= time.Millisecond:
		return v, ""
	case t.Has("no-cache"):
		return v, "no-cache" // and nothing to validate with
	}
	return v, "not-fresh"
}
