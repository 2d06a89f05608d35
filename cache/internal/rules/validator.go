package rules

import (
	"net/http"
	"strings"
)

// Identifies reports whether a 304 with these fields is about the response that is
// stored (RFC 9111, section 4.3.4): its validators are those of that one. A strong ETag
// must be the same, of a weak one the opaque tag (RFC 9110, section 8.8.3.2). A 304 without
// validators answers our own condition.
func Identifies(h, stored http.Header) bool {
	if etag := h.Get("Etag"); etag != "" {
		if !strings.HasPrefix(etag, "W/") {
			return etag == stored.Get("Etag")
		}
		return opaque(etag) == opaque(stored.Get("Etag"))
	}
	modified := h.Get("Last-Modified")
	return modified == "" || modified == stored.Get("Last-Modified")
}

// opaque is an entity tag without the mark of a weak one, which is in upper case.
func opaque(etag string) string { return strings.TrimPrefix(etag, "W/") }
