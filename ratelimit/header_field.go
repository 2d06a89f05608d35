package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxInteger is the largest integer of a structured field (RFC 9651, section
// 3.3.1).
const maxInteger = 999_999_999_999_999

// policyHeader is what the fields RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers say
// about a policy. It is rendered once, as far as it does not change.
type policyHeader struct {
	field string // the item of RateLimit-Policy
	begin string // the item of RateLimit, up to the value of r
	quota int
}

// headerOf describes a named limit. Windows are whole seconds: 5 per 500ms is 10
// per second, and a period that cannot be scaled so has no parameter w.
func headerOf(l Limit) policyHeader {
	h := policyHeader{quota: l.Rate, begin: fmt.Sprintf("%q;r=", l.Name)}
	seconds := int64(0)
	switch {
	case l.kind == concurrency:
	case l.Period%time.Second == 0:
		seconds = int64(l.Period / time.Second)
	case l.kind == bucket && time.Second%l.Period == 0 && l.Rate <= math.MaxInt32:
		seconds = 1
		h.quota = l.Rate * int(time.Second/l.Period)
	}
	h.quota = min(h.quota, maxInteger)
	h.field = fmt.Sprintf("%q;q=%d", l.Name, h.quota)
	if l.kind == concurrency {
		h.field += `;qu="concurrent-requests"`
	}
	if seconds > 0 {
		h.field += ";w=" + strconv.FormatInt(seconds, 10)
	}
	if l.Burst != l.Rate {
		h.field += ";rl-burst=" + strconv.Itoa(l.Burst)
	}
	return h
}

// item renders the item of RateLimit: how many requests are left, and in how many
// seconds there is one more, or after a refusal as many as the request needs.
func (p *policyHeader) item(remaining int, next, retry time.Duration) string {
	var buffer [128]byte // a name and two numbers fit
	b := append(buffer[:0], p.begin...)
	b = strconv.AppendInt(b, int64(min(remaining, p.quota)), 10)
	if t := seconds(max(next, retry)); t > 0 {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, int64(t), 10)
	}
	return string(b)
}

// seconds rounds up: a request at that second is admitted.
func seconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}
