package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Access is what somebody may do. The zero value is nothing.
type Access struct {
	User  string // for the page and [Event]
	Read  bool   // see pages
	Write bool   // change things as well; it needs Read
}

// Event is one write, for [WithAudit].
type Event struct {
	Time   time.Time
	User   string // of [Access]
	Remote string // address of the request's peer
	Action string // delete, unblock, block, revoke, revoke-all, purge, …
	Conn   string
	Key    string // the Redis key, or what stands for it: a client, a user, a URL
	Detail string // what else was asked for
	Err    error  // nil when it was done
}

type accessKey struct{}

func accessOf(ctx context.Context) Access {
	a, _ := ctx.Value(accessKey{}).(Access)
	return a
}

var errNoRead = errors.New("no right to read")

// guard asks the authorizer and sets what holds for every answer.
func (p *Panel) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		access, err := p.authorize(r)
		if err == nil && !access.Read {
			err = errNoRead
		}
		if err != nil {
			p.logger.LogAttrs(r.Context(), slog.LevelInfo, "access to the panel refused", slog.String("cause", err.Error()))
			p.deny.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), accessKey{}, access)))
	})
}

// secure sets headers for pages that show what attackers have written.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer, which makes the Origin of a form "null"; keys stand in
	// the addresses of pages, so nobody else is to see them.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func forbidden(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
}
