package ratelimit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
)

// The names of the fields as net/http stores them.
const (
	policyField = "Ratelimit-Policy"
	limitField  = "Ratelimit"
)

// setHeaders sets the fields of a decision. It appends to RateLimit fields, which an
// outer limiter may have set too.
func (l *Limiter) setHeaders(h http.Header, d Decision, key string) {
	if d.Source == fromNowhere {
		return // nothing was counted
	}
	if !l.headers.Off && (!l.headers.NearLimit || !d.Allowed || d.nearLimit()) {
		l.addFields(h, d, l.partition(key))
	}
	// Limit is the burst, which is what a client may send at once.
	if l.headers.Legacy || l.headers.LegacyEpoch {
		reset := int64(seconds(d.ResetAfter))
		if l.headers.LegacyEpoch {
			reset += l.now().Unix()
		}
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit.Burst))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
}

// addFields adds RateLimit-Policy and RateLimit with one item for each policy. pk
// is the partition parameter of each.
func (l *Limiter) addFields(h http.Header, d Decision, pk string) {
	if d.more == nil {
		p := &d.set.all[0].header
		both := []string{p.field + pk, p.item(d.Remaining, d.NextAfter, d.RetryAfter) + pk}
		add(h, policyField, both[:1:1])
		add(h, limitField, both[1:])
		return
	}
	var fields, items []byte
	for i, s := range d.more {
		if i > 0 {
			fields, items = append(fields, ", "...), append(items, ", "...)
		}
		p := &d.set.all[i].header
		fields = append(append(fields, p.field...), pk...)
		items = append(append(items, p.item(s.Remaining, s.NextAfter, s.RetryAfter)...), pk...)
	}
	add(h, policyField, []string{string(fields)})
	add(h, limitField, []string{string(items)})
}

// add appends a field's line without canonicalizing its name, which it is already.
func add(h http.Header, name string, line []string) {
	if outer := h[name]; len(outer) > 0 {
		line = append(outer, line...)
	}
	h[name] = line
}

// partition returns the parameter pk. The hash is keyed, because an unkeyed hash of
// an address can be undone by trying all addresses.
func (l *Limiter) partition(key string) string {
	if l.headers.PartitionKey == nil {
		return ""
	}
	mac := hmac.New(sha256.New, l.headers.PartitionKey)
	mac.Write([]byte(key))
	return ";pk=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)[:12]) + ":"
}
