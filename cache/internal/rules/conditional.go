package rules

import "net/http"

// Conditional reports whether a request may get something else than the whole
// response (RFC 9110, sections 13.1 and 14.2).
func Conditional(r *http.Request) bool {
	h := r.Header
	return len(h["Range"]) > 0 || len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 || len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0
}

// NotModifiedSinceDate reports whether If-Modified-Since is not before the Date of a
// response, which stands in for Last-Modified where there is none (RFC 9111, section
// 4.3.2). The field is ignored beside If-None-Match, and unless it is exactly one
// date (RFC 9110, section 13.1.3).
func NotModifiedSinceDate(r *http.Request, h http.Header) bool {
	lines := r.Header["If-Modified-Since"]
	if len(r.Header["If-None-Match"]) > 0 || len(lines) != 1 {
		return false
	}
	since, err := parseTime(lines[0])
	if err != nil {
		return false
	}
	made, err := parseTime(h.Get("Date"))
	return err == nil && !made.After(since)
}

// Preconditions are the fields that a request for the whole response must not have.
var Preconditions = map[string]bool{"If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true, "If-Range": true, "Range": true}
