package cache

import (
	"net/http"
	"strings"
	"time"
)

// wants says whether a request takes an answer of this age with so much
// freshness left, which may be negative (section 5.2.1).
func wants(d control, h http.Header, age, fresh time.Duration) bool {
	if d.has("no-cache") || len(h["Cache-Control"]) == 0 && strings.EqualFold(strings.TrimSpace(h.Get("Pragma")), "no-cache") {
		return false
	}
	if limit, ok := d.seconds("max-age"); ok && age > limit {
		return false
	}
	if limit, ok := d.seconds("min-fresh"); ok && fresh < limit {
		return false
	}
	return true
}

// toleratesStale is max-stale, with or without a limit.
func toleratesStale(d control, fresh time.Duration) bool {
	arg, ok := d["max-stale"]
	if !ok {
		return false
	}
	limit, _ := d.seconds("max-stale")
	return arg == "" || -fresh <= limit
}
