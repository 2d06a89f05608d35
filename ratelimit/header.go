package ratelimit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// HeaderMode is on which responses RateLimit headers are sent.
type HeaderMode uint8

const (
	// HeadersAlways sends them on every counted response.
	HeadersAlways HeaderMode = iota
	// HeadersNearLimit sends them when four fifths of a burst are used, and with
	// refusals.
	HeadersNearLimit
	// HeadersOff sends none; a refusal still has Retry-After.
	HeadersOff
)

const maxInteger = 999_999_999_999_999 // of a structured field, RFC 9651, section 3.3.1

// The names of the fields as net/http stores them.
const (
	policyField = "Ratelimit-Policy"
	limitField  = "Ratelimit"
)

// policyHeader is what the fields of draft-ietf-httpapi-ratelimit-headers say
// about a policy.
type policyHeader struct {
	field string // of RateLimit-Policy
	begin string // of RateLimit, up to the value of r
	quota int
}

// headerOf describes a policy. Windows are whole seconds: 5 per 500ms is 10 per
// second, and what cannot be scaled has none.
func headerOf(p *policy) policyHeader {
	h := policyHeader{quota: p.Rate, begin: fmt.Sprintf("%q;r=", p.Name)}
	seconds := int64(0)
	switch {
	case p.kind == concurrency:
	case p.Period%time.Second == 0:
		seconds = int64(p.Period / time.Second)
	case p.kind == bucket && time.Second%p.Period == 0 && p.Rate <= math.MaxInt32:
		seconds = 1
		h.quota = p.Rate * int(time.Second/p.Period)
	}
	h.quota = min(h.quota, maxInteger)
	h.field = fmt.Sprintf("%q;q=%d", p.Name, h.quota)
	if p.kind == concurrency {
		h.field += `;qu="concurrent-requests"`
	}
	if seconds > 0 {
		h.field += ";w=" + strconv.FormatInt(seconds, 10)
	}
	if p.Burst != p.Rate {
		h.field += ";rl-burst=" + strconv.Itoa(p.Burst)
	}
	return h
}

// setHeaders adds to the lists: an outer limiter may have done so too.
func (l *Limiter) setHeaders(h http.Header, d Decision, key string) {
	if d.Source == FromNowhere {
		return // nothing was counted
	}
	if l.headers == HeadersAlways || l.headers == HeadersNearLimit && (!d.Allowed || d.NearLimit()) {
		pk := l.partition(key)
		if d.more == nil {
			add(h, policyField, d.set.all[0].header.field+pk)
			add(h, limitField, d.set.all[0].header.item(d.State)+pk)
		} else {
			var fields, items []byte
			for i, s := range d.more {
				if i > 0 {
					fields, items = append(fields, ", "...), append(items, ", "...)
				}
				fields = append(append(fields, d.set.all[i].header.field...), pk...)
				items = append(append(items, d.set.all[i].header.item(s)...), pk...)
			}
			add(h, policyField, string(fields))
			add(h, limitField, string(items))
		}
	}
	if l.legacy != nil {
		reset := int64(seconds(d.ResetAfter))
		if l.legacy.epoch {
			reset += l.now().Unix()
		}
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit.Burst))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
}

func add(h http.Header, name, value string) { h[name] = append(h[name], value) }

// item is how many requests are left, and in how many seconds there is another
// one, or after a refusal enough.
func (p *policyHeader) item(s State) string {
	var room [128]byte // of a name and three numbers at most
	b := append(room[:0], p.begin...)
	b = strconv.AppendInt(b, int64(min(s.Remaining, p.quota)), 10)
	t := seconds(s.NextAfter)
	if s.RetryAfter > 0 {
		t = max(t, seconds(s.RetryAfter))
	}
	if t > 0 {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, int64(t), 10)
	}
	return string(b)
}

// partition is the parameter pk. The hash is keyed: an unkeyed one of an address
// is undone by trying all addresses.
func (l *Limiter) partition(key string) string {
	if l.partitionKey == nil {
		return ""
	}
	mac := hmac.New(sha256.New, l.partitionKey)
	mac.Write([]byte(key))
	return ";pk=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)[:12]) + ":"
}

// seconds rounds up: a request at that second is admitted.
func seconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}
