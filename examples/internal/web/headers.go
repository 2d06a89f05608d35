// Package web is what the pages of the examples have in common: the headers
// that a browser is sent, the files of a page, JSON and problem answers, and
// names that people choose.
package web

import "net/http"

// policy lets a page load what this server sends and nothing else, runs no
// inline script or style, and with trusted types refuses innerHTML and its like
// altogether: what others have written can reach a page as text only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Secure sets the headers that every answer of a site with pages should have.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
