package ratelimit

import (
	"context"
	"log/slog"
	"net/http"
)

// Handler lets requests within the limit through to next and answers others
// with 429, or with 503 while Redis is unavailable and the limiter is
// [Closed]. RateLimit headers are set before next runs. A key that cannot be
// found is answered 500, for it is a mistake of the configuration.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := l.key(r)
		if err != nil || key == "" {
			l.logger.LogAttrs(r.Context(), slog.LevelError, "no key for a request", slog.String("policy", l.name), slog.Any("error", err))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		d, _ := l.Allow(r.Context(), key) // the decision holds; the hook has the error
		l.setHeaders(w.Header(), d)
		r = r.WithContext(context.WithValue(r.Context(), ctxKey{}, d))
		if !d.Allowed {
			l.refuse(w, r, d)
			return
		}
		next.ServeHTTP(w, r)
	})
}
