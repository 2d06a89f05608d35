package ratelimit

import (
	"fmt"
	"net/http"

	"github.com/redishttp/redishttp/internal/problem"
)

// problemTypes begins the types of draft-ietf-httpapi-ratelimit-headers.
const problemTypes = "https://iana.org/assignments/http-problem-types#"

// problemOf returns the body of a refusal (RFC 9457), with the types of
// draft-ietf-httpapi-ratelimit-headers. A cost above the burst gets no hint when to
// retry, because it is never admitted.
func problemOf(d Decision) problem.Problem {
	if d.Unavailable {
		return problem.Problem{
			Type: problemTypes + "temporary-reduced-capacity", Title: "Temporary Reduced Capacity",
			Status: http.StatusServiceUnavailable, Violated: []string{},
		}
	}
	p := problem.Problem{Type: problemTypes + "quota-exceeded", Title: "Quota Exceeded", Status: http.StatusTooManyRequests, Violated: []string{}}
	for _, s := range d.Policies() {
		if s.RetryAfter != 0 {
			p.Violated = append(p.Violated, s.Policy)
		}
	}
	p.Detail = "Quota of policy " + d.Policy + " exhausted."
	if d.RetryAfter > 0 {
		p.Detail += fmt.Sprintf(" Retry in %s seconds.", problem.Seconds(d.RetryAfter))
	}
	return p
}

// refuse sends the response to a refused request. Its RateLimit fields are set.
func (l *Limiter) refuse(w http.ResponseWriter, r *http.Request, a *admission) {
	problem.NoStore(w.Header()) // RFC 6585, section 4
	problem.RetryAfter(w.Header(), a.decision.RetryAfter)
	if l.deny != nil {
		l.deny.ServeHTTP(w, a.in(r))
		return
	}
	problemOf(a.decision).Write(w, r)
}

// repeatRefusal rejects a request with the response to an earlier one, if its
// refusal is remembered and no option changes the response.
func (l *Limiter) repeatRefusal(w http.ResponseWriter, r *http.Request, q request) bool {
	if !l.usual || q.refusal == nil || len(q.set.all) != 1 {
		return false
	}
	d := q.refusal.decision(q.cost, q.at)
	if d.RetryAfter <= 0 {
		return false // of a cost above the burst, which is rare
	}
	p, h := &q.set.all[0], w.Header()
	same := responseTo(q.refusal, p, d)
	add(h, policyField, []string{p.header.field})
	add(h, limitField, []string{same.item})
	h["Retry-After"] = []string{same.retry}
	problem.WriteBody(w, r, http.StatusTooManyRequests, same.body)
	return true
}

// responseTo returns the response to a remembered refusal. It stays the same for
// a second, so it is rendered once for a flood.
func responseTo(r *refusal, p *policy, d Decision) *response {
	retry := problem.Seconds(d.RetryAfter)
	if last := r.response.Load(); last != nil && last.retry == retry && last.remaining == d.Remaining {
		return last
	}
	fresh := &response{
		remaining: d.Remaining, item: p.header.item(d.Remaining, d.NextAfter, d.RetryAfter),
		retry: retry, body: problemOf(d).Body(),
	}
	r.response.Store(fresh)
	return fresh
}
