package ratelimit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
)

// problem is the body of a refusal (RFC 9457), with the types of the draft.
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail,omitempty"`
	Violated []string `json:"violated-policies"`
}

const problemTypes = "https://iana.org/assignments/http-problem-types#"

var forbidden = problem{Type: "about:blank", Title: "Forbidden", Status: http.StatusForbidden, Violated: []string{}}

func problemOf(d Decision) problem {
	if d.Unavailable {
		return problem{
			Type: problemTypes + "temporary-reduced-capacity", Title: "Temporary Reduced Capacity",
			Status: http.StatusServiceUnavailable, Violated: []string{},
		}
	}
	p := problem{Type: problemTypes + "quota-exceeded", Title: "Quota Exceeded", Status: http.StatusTooManyRequests, Violated: []string{}}
	for _, s := range d.Policies() {
		if s.RetryAfter != 0 {
			p.Violated = append(p.Violated, s.Policy)
		}
	}
	p.Detail = "Quota of policy " + d.Policy + " exhausted."
	if d.RetryAfter > 0 {
		p.Detail += fmt.Sprintf(" Retry in %d seconds.", seconds(d.RetryAfter))
	}
	return p
}

// refuse answers a request that was not admitted. A cost above the burst gets
// no Retry-After, for no time would do.
func (l *Limiter) refuse(w http.ResponseWriter, r *http.Request, p *passage) {
	h := w.Header()
	if p.decision.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(max(seconds(p.decision.RetryAfter), 1))}
	}
	h["Cache-Control"] = []string{"no-store"} // RFC 6585, section 4
	if l.deny != nil {
		l.deny.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, p)))
		return
	}
	body := problemOf(p.decision)
	writeProblem(w, r, body.Status, body)
}

func writeProblem(w http.ResponseWriter, r *http.Request, status int, p problem) {
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	writeBody(w, r, status, append(body, '\n'))
}

func writeBody(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{"application/problem+json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// rendered is a refusal as it is written to clients, the same for a second.
type rendered struct {
	second    int
	remaining int
	item      string
	retry     string
	body      []byte
}

// render is kept with a remembered refusal; a flood is answered from it.
type render struct{ last atomic.Pointer[rendered] }

func (c *render) of(p *policy, d Decision) *rendered {
	second := max(seconds(d.RetryAfter), 1)
	if last := c.last.Load(); last != nil && last.second == second && last.remaining == d.Remaining {
		return last
	}
	body, err := json.Marshal(problemOf(d))
	if err != nil {
		return nil
	}
	fresh := &rendered{second: second, remaining: d.Remaining, item: itemOf(p, d.State), retry: strconv.Itoa(second), body: append(body, '\n')}
	c.last.Store(fresh)
	return fresh
}

// refuseAgain answers a request whose refusal is remembered, byte for byte as
// Redis' own would be. It is for limiters without anything special. If it has
// looked for one in vain, asked is when.
func (l *Limiter) refuseAgain(w http.ResponseWriter, r *http.Request, q question) (asked int64, done bool) {
	if !l.plain || len(q.set.all) != 1 {
		return 0, false
	}
	now := l.nanos()
	ref := l.remembered(q, now)
	if ref == nil {
		return now, false
	}
	d := ref.at(q.cost, now)
	if d.RetryAfter <= 0 {
		return 0, false // of a cost above the burst, which is rare
	}
	text := ref.text.of(&q.set.all[0], d)
	if text == nil {
		return 0, false
	}
	h := w.Header()
	add(h, policyHeader, q.set.all[0].field)
	add(h, limitHeader, text.item)
	h["Retry-After"] = []string{text.retry}
	h["Cache-Control"] = []string{"no-store"}
	writeBody(w, r, http.StatusTooManyRequests, text.body)
	return now, true
}
