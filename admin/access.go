package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/problem"
)

// Access is what an operator may do; the function of [WithAuthorizer] returns
// it. The zero value permits nothing.
type Access struct {
	// User names the operator, on pages and in an [Event]. It is shown as text.
	User string
	// Read permits to see pages.
	Read bool
	// Write permits changes as well. It has no effect without Read.
	Write bool
}

// Event is one write, done or failed, as the hook of [WithAudit] gets it. It
// names keys and users of the application, so keep it where their data may be
// kept.
type Event struct {
	Time time.Time
	User string // of [Access]
	// Remote is the address of the request's peer, which may be a proxy.
	Remote string
	// Action is delete, unblock, reset, block, revoke, revoke-all, purge, purge-tag,
	// purge-all or release.
	Action string
	Conn   string // name of the connection
	// Key is the Redis key, or what stands for it: a client, a user, a URL, a tag.
	Key string
	// Detail holds the other parameters, such as "label api, for 15m".
	Detail string
	// Err says why the write failed, nil if it was done. After a timeout it may have
	// been done all the same.
	Err error
}

type (
	accessKey struct{}
	reasonKey struct{}
)

// DenyReason returns why a request was rejected, for the handler of
// [WithDenyHandler]: the authorizer's error, to test with [errors.Is], or one
// that says that the right to read is missing. It is nil for any other context.
// Do not show it to the client, which is not known.
func DenyReason(ctx context.Context) error {
	err, _ := ctx.Value(reasonKey{}).(error)
	return err
}

// accessOf returns what the authorizer permits the request.
func accessOf(ctx context.Context) Access {
	a, _ := ctx.Value(accessKey{}).(Access)
	return a
}

var errNoRead = errors.New("no right to read")

// guard asks the authorizer for every request and sets the headers of every
// response. It is the outermost handler, so nothing is served without it.
func (p *Panel) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		access, err := p.authorize(r)
		if err == nil && !access.Read {
			err = errNoRead
		}
		if err != nil {
			p.logger.LogAttrs(r.Context(), slog.LevelInfo, "access to the panel denied", slog.String("cause", err.Error()))
			p.deny.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), reasonKey{}, err)))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), accessKey{}, access)))
	})
}

// secure sets headers for pages that show text of attackers: no inline script or
// style, no frames, nothing from other origins, and no copy in a cache.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer, which makes the Origin of a form "null". Addresses of pages
	// hold keys, so other origins must not see them.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// forbidden is the default of [WithDenyHandler].
func forbidden(w http.ResponseWriter, r *http.Request) {
	problem.Of(http.StatusForbidden, "").Write(w, r)
}
