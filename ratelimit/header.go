package ratelimit

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// setHeaders writes the fields of draft-ietf-httpapi-ratelimit-headers. They
// are lists: a stacked limiter adds its member.
func (l *Limiter) setHeaders(h http.Header, d Decision) {
	if d.Source == FromNowhere {
		return // a number nobody counted would be a lie
	}
	h.Add("RateLimit-Policy", l.policyField())
	item := fmt.Sprintf("%q;r=%d", d.Policy, min(d.Remaining, l.quota()))
	if next := seconds(d.NextAfter); !d.Allowed && d.RetryAfter > 0 {
		item += ";t=" + strconv.Itoa(max(seconds(d.RetryAfter), next))
	} else if next > 0 {
		item += ";t=" + strconv.Itoa(next)
	}
	h.Add("RateLimit", item)
}

// policyField is the policy with its quota a window. Windows are whole
// seconds: 5 per 500ms is 10 per second, and what cannot be scaled has none.
func (l *Limiter) policyField() string {
	field := fmt.Sprintf("%q;q=%d", l.name, l.quota())
	if w := l.window(); w > 0 {
		field += ";w=" + strconv.FormatInt(w, 10)
	}
	if l.limit.Burst != l.limit.Rate {
		field += ";rl-burst=" + strconv.Itoa(l.limit.Burst)
	}
	return field
}

func (l *Limiter) window() int64 {
	switch {
	case l.limit.Period%time.Second == 0:
		return int64(l.limit.Period / time.Second)
	case time.Second%l.limit.Period == 0 && l.limit.Rate <= math.MaxInt32:
		return 1
	}
	return 0
}

func (l *Limiter) quota() int {
	if l.window() == 1 && l.limit.Period < time.Second {
		return l.limit.Rate * int(time.Second/l.limit.Period)
	}
	return l.limit.Rate
}

// seconds rounds up: who comes back at the second named is admitted.
func seconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}

// problem is the body of a refusal (RFC 9457), with the types of the draft.
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail,omitempty"`
	Violated []string `json:"violated-policies"`
}

const problemTypes = "https://iana.org/assignments/http-problem-types#"

func problemOf(d Decision) problem {
	if d.Unavailable {
		return problem{Type: problemTypes + "temporary-reduced-capacity", Title: "Temporary Reduced Capacity",
			Status: http.StatusServiceUnavailable, Violated: []string{}}
	}
	p := problem{Type: problemTypes + "quota-exceeded", Title: "Quota Exceeded", Status: http.StatusTooManyRequests,
		Violated: []string{d.Policy}, Detail: "Quota of policy " + d.Policy + " exhausted."}
	if d.RetryAfter > 0 {
		p.Detail += fmt.Sprintf(" Retry in %d seconds.", seconds(d.RetryAfter))
	}
	return p
}

// refuse answers a request that was not admitted. A cost above the burst gets
// no Retry-After, for no time would do.
func (l *Limiter) refuse(w http.ResponseWriter, r *http.Request, d Decision) {
	p := problemOf(d)
	h := w.Header()
	if d.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(seconds(d.RetryAfter), 1)))
	}
	h.Set("Cache-Control", "no-store") // RFC 6585, section 4
	if l.deny != nil {
		l.deny.ServeHTTP(w, r)
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, http.StatusText(p.Status), p.Status)
		return
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}
