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

// HeaderMode says on which responses RateLimit headers are sent.
type HeaderMode uint8

const (
	// HeadersAlways sends them on every counted response.
	HeadersAlways HeaderMode = iota
	// HeadersNearLimit sends them when four fifths of a burst are used, and on
	// refusals.
	HeadersNearLimit
	// HeadersOff sends none; a refusal still has Retry-After.
	HeadersOff
)

// LegacyHeaders says what X-RateLimit-Reset holds.
type LegacyHeaders uint8

const (
	// LegacyOff sends no X-RateLimit headers.
	LegacyOff LegacyHeaders = iota
	// LegacyDelta sends them with the seconds until the bucket is full.
	LegacyDelta
	// LegacyEpoch sends them with that moment as seconds since 1970.
	LegacyEpoch
)

const maxInteger = 999_999_999_999_999 // of a structured field, RFC 9651, section 3.3.1

// The names as net/http stores them.
const (
	policyHeader = "Ratelimit-Policy"
	limitHeader  = "Ratelimit"
)

// describe prepares what the headers of draft-ietf-httpapi-ratelimit-headers
// say about a policy. Windows are whole seconds: 5 per 500ms is 10 per second,
// and what cannot be scaled has none.
func (p *policy) describe() {
	p.quota = p.Rate
	w := int64(0)
	switch {
	case p.kind == concurrency:
	case p.Period%time.Second == 0:
		w = int64(p.Period / time.Second)
	case p.kind == cellRate && time.Second%p.Period == 0 && p.Rate <= math.MaxInt32:
		w = 1
		p.quota = p.Rate * int(time.Second/p.Period)
	}
	p.quota = min(p.quota, maxInteger)
	p.field = fmt.Sprintf("%q;q=%d", p.Name, p.quota)
	if p.kind == concurrency {
		p.field += `;qu="concurrent-requests"`
	}
	if w > 0 {
		p.field += ";w=" + strconv.FormatInt(w, 10)
	}
	if p.Burst != p.Rate {
		p.field += ";rl-burst=" + strconv.Itoa(p.Burst)
	}
	p.item = fmt.Sprintf("%q;r=", p.Name)
}

// setHeaders adds to the lists, for a limiter further out may have done so too.
func (l *Limiter) setHeaders(h http.Header, d Decision, key string) {
	if d.Source == FromNowhere {
		return // a number nobody counted would be a lie
	}
	if l.headers == HeadersAlways || l.headers == HeadersNearLimit && (!d.Allowed || d.NearLimit()) {
		pk := l.partitionKey(key)
		if d.more == nil {
			add(h, policyHeader, d.set.all[0].field+pk)
			add(h, limitHeader, itemOf(&d.set.all[0], d.State)+pk)
		} else {
			var fields, items []byte
			for i, s := range d.more {
				if i > 0 {
					fields, items = append(fields, ", "...), append(items, ", "...)
				}
				fields = append(append(fields, d.set.all[i].field...), pk...)
				items = append(append(items, itemOf(&d.set.all[i], s)...), pk...)
			}
			add(h, policyHeader, string(fields))
			add(h, limitHeader, string(items))
		}
	}
	if l.legacy != LegacyOff {
		reset := int64(seconds(d.ResetAfter))
		if l.legacy == LegacyEpoch {
			reset += l.now().Unix()
		}
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit.Burst))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
}

func add(h http.Header, name, value string) { h[name] = append(h[name], value) }

// itemOf says how many requests are left, and in how many seconds there is
// another (or, refused, enough).
func itemOf(p *policy, s State) string {
	var room [128]byte // of a name and three numbers at most
	b := append(room[:0], p.item...)
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

// partitionKey names whose quota it is without telling: a keyed hash, for an
// unkeyed one of an address is undone by trying all addresses.
func (l *Limiter) partitionKey(key string) string {
	if l.partitionSecret == nil {
		return ""
	}
	mac := hmac.New(sha256.New, l.partitionSecret)
	mac.Write([]byte(key))
	return ";pk=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)[:12]) + ":"
}

// seconds rounds up: who comes back at the second named is admitted.
func seconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}
