package rules

import (
	"net/http"
	"strings"
	"time"
)

// Wants reports whether a request accepts a response of this age with so much freshness
// left, which may be negative (RFC 9111, section 5.2.1). Pragma: no-cache counts where
// there is no Cache-Control (section 5.4).
func Wants(d Control, h http.Header, age, fresh time.Duration) bool {
	if d.Has("no-cache") || len(h["Cache-Control"]) == 0 && strings.EqualFold(strings.TrimSpace(h.Get("Pragma")), "no-cache") {
		return false
	}
	if limit, ok := d.Seconds("max-age"); ok && age > limit {
		return false
	}
	if limit, ok := d.Seconds("min-fresh"); ok && fresh < limit {
		return false
	}
	return true
}

// ToleratesStale reports whether a request accepts a stale response with so much
// freshness left, which is negative then: max-stale, with or without a limit (RFC 9111,
// section 5.2.1.2).
func ToleratesStale(d Control, fresh time.Duration) bool {
	arg, ok := d["max-stale"]
	if !ok {
		return false
	}
	limit, _ := d.Seconds("max-stale")
	return arg == "" || -fresh <= limit
}
