// Package problem writes the responses of middlewares that refuse a request:
// application/problem+json (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Problem is the body of a refusal (RFC 9457, section 3.1).
type Problem struct {
	// Type is a URI that identifies the kind of problem. Left out, it means
	// "about:blank": the status says it all.
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Violated is the extension member of draft-ietf-httpapi-ratelimit-headers:
	// the policies that refuse the request. It is left out if nil.
	Violated []string `json:"violated-policies,omitzero"`
}

// Of returns the problem of which the status says all but detail.
func Of(status int, detail string) Problem {
	return Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// Body returns the JSON of p, with a newline.
func (p Problem) Body() []byte {
	body, err := json.Marshal(p)
	if err != nil { // impossible: strings and an int
		return []byte("{}\n")
	}
	return append(body, '\n')
}

// Write writes p as the response to r. It must not be stored by a cache. The
// response to HEAD has no body.
func (p Problem) Write(w http.ResponseWriter, r *http.Request) { WriteBody(w, r, p.Status, p.Body()) }

// WriteBody is [Problem.Write] for a body that was made before.
func WriteBody(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	NoStore(h)
	h["Content-Type"] = []string{"application/problem+json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// NoStore forbids caches to store the response (RFC 9111, section 5.2.2.5).
func NoStore(h http.Header) { h["Cache-Control"] = []string{"no-store"} }

// RetryAfter sets Retry-After (RFC 9110, section 10.2.3) to d in seconds,
// rounded up. Nothing is set if d is 0 or negative.
func RetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h["Retry-After"] = []string{Seconds(d)}
	}
}

// Seconds is d in whole seconds, rounded up.
func Seconds(d time.Duration) string {
	n := d / time.Second
	if d%time.Second > 0 {
		n++
	}
	return strconv.FormatInt(int64(n), 10)
}
