package rules

import (
	"net/http"
	"strings"
)

// MinCompress is below what compression does not pay.
const MinCompress = 1 << 10

// Compressible reports whether a body is likely to shrink and may be touched.
// What clients get is the same bytes, so ETag and Vary stay the handler's.
func Compressible(h http.Header) bool {
	if h.Get("Content-Encoding") != "" || ParseControl(h).Has("no-transform") {
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml") ||
		kind == "application/javascript" || kind == "application/wasm"
}
