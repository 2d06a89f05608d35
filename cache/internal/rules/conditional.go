package rules

import "net/http"

// Conditional reports whether a request asks for something else than the whole.
func Conditional(r *http.Request) bool {
	h := r.Header
	return len(h["Range"]) > 0 || len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 || len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0
}

// NotModifiedSinceDate stands in for Last-Modified where there is none (RFC
// 9111, section 4.3.2).
func NotModifiedSinceDate(r *http.Request, h http.Header) bool {
	if len(r.Header["If-None-Match"]) > 0 {
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	made, err := http.ParseTime(h.Get("Date"))
	return err == nil && !made.After(since)
}

// Preconditions are the fields that ask for less than the whole.
var Preconditions = map[string]bool{"If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true, "If-Range": true, "Range": true}
