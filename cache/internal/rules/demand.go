package rules

import (
	"net/http"
	"strings"
	"time"
)

// Wants says whether a request takes an answer of this age with so much
// freshness left, which may be negative (section 5.2.1).
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

// ToleratesStale is max-stale, with or without a limit.
func ToleratesStale(d Control, fresh time.Duration) bool {
	arg, ok := d["max-stale"]
	if !ok {
		return false
	}
	limit, _ := d.Seconds("max-stale")
	return arg == "" || -fresh <= limit
}
