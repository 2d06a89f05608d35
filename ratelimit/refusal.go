package ratelimit

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/problem"
)

const problemTypes = "https://iana.org/assignments/http-problem-types#"

var forbidden = problem.Problem{Type: "about:blank", Title: "Forbidden", Status: http.StatusForbidden, Violated: []string{}}

// problemOf is the body of a refusal (RFC 9457), with the types of
// draft-ietf-httpapi-ratelimit-headers. A cost above the burst gets no hint when to
// retry: it is never admitted.
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

// rendered keeps the latest response of a remembered refusal, which is the same
// for a second: a flood is rejected with it.
type rendered struct{ last atomic.Pointer[response] }

type response struct {
	remaining int
	item      string
	retry     string
	body      []byte
}

func (c *rendered) of(p *policy, d Decision) *response {
	retry := problem.Seconds(d.RetryAfter)
	if last := c.last.Load(); last != nil && last.retry == retry && last.remaining == d.Remaining {
		return last
	}
	fresh := &response{remaining: d.Remaining, item: p.header.item(d.State), retry: retry, body: problemOf(d).Body()}
	c.last.Store(fresh)
	return fresh
}

// repeatRefusal rejects a request with the response to an earlier one, if its
// refusal is remembered and no option asks for more.
func (l *Limiter) repeatRefusal(w http.ResponseWriter, r *http.Request, q request) bool {
	if !l.usual || q.refusal == nil || len(q.set.all) != 1 {
		return false
	}
	d := q.refusal.decision(q.cost, q.at)
	if d.RetryAfter <= 0 {
		return false // of a cost above the burst, which is rare
	}
	p, h := &q.set.all[0], w.Header()
	text := q.refusal.response.of(p, d)
	add(h, policyField, p.header.field)
	add(h, limitField, text.item)
	h["Retry-After"] = []string{text.retry}
	problem.WriteBody(w, r, http.StatusTooManyRequests, text.body)
	return true
}
