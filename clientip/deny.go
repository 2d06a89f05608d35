package clientip

import (
	"net/http"

	"github.com/redishttp/redishttp/internal/problem"
)

// Deny returns a handler that sends 403 (RFC 9110, section 15.5.4) with an
// application/problem+json body to requests for which denied returns true, and passes
// others to next. A nil denied passes all. Use it with [Resolver.Within] to refuse
// networks before anything else runs, also a limiter.
func Deny(next http.Handler, denied func(*http.Request) bool) http.Handler {
	if denied == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if denied(r) {
			problem.Problem{Type: "about:blank", Title: "Forbidden", Status: http.StatusForbidden, Violated: []string{}}.Write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
