package rules

import (
	"net/http"
	"strings"
)

// MinCompress is the size in bytes from which a body is compressed in the store. A
// smaller one saves too little.
const MinCompress = 1 << 10

// Compressible reports whether a body is likely to shrink, by its Content-Type, and may
// be compressed in the store: no-transform forbids it (RFC 9111, section 5.2.2.6). What
// clients get are the same bytes, so ETag and Vary stay the handler's.
func Compressible(h http.Header) bool {
	if h.Get("Content-Encoding") != "" || ParseControl(h).Has("no-transform") {
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml") ||
		kind == "application/javascript" || kind == "application/wasm"
}
