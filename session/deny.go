package session

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/problem"
)

type denyKey struct{}

// DenyReason returns why a request was refused, in the handler of
// [WithDenyHandler]. It matches [ErrUnavailable], [ErrRefused], [ErrConflict],
// [ErrGone], [ErrTooLarge], [ErrEncode], [ErrCorrupt] or [ErrUnknownKey], to
// choose a page or an error code by [errors.Is]. It is nil for any other
// context. Do not write the error itself to the client: it is for logs, and may
// name servers.
func DenyReason(ctx context.Context) error {
	err, _ := ctx.Value(denyKey{}).(error)
	return err
}

const retryAfter = time.Second

// refuse responds in place of the handler. Of the header only what outer
// middlewares have set is kept.
func (m *Manager) refuse(w http.ResponseWriter, r *http.Request, outer http.Header, err error) {
	m.failed(r.Context(), err)
	h := w.Header()
	clear(h)
	maps.Copy(h, outer)
	status, retry := statusOf(err)
	if retry {
		problem.RetryAfter(h, retryAfter)
	}
	if errors.Is(err, ErrGone) && !errors.Is(err, errRotated) {
		m.removeCookie(h)
	}
	if m.deny == nil {
		problem.Of(status, "").Write(w, r)
		return
	}
	problem.NoStore(h)
	writer, done := problem.WithStatus(w, status)
	m.deny.ServeHTTP(writer, r.WithContext(context.WithValue(r.Context(), denyKey{}, err)))
	done()
}

// statusOf returns the status of a refused request, and whether the client may
// retry it.
func statusOf(err error) (status int, retry bool) {
	for _, permanent := range []error{ErrTooLarge, ErrEncode, ErrCorrupt, ErrUnknownKey, ErrRefused} {
		if errors.Is(err, permanent) {
			return http.StatusInternalServerError, false
		}
	}
	switch {
	case errors.Is(err, ErrConflict):
		return http.StatusConflict, true
	case errors.Is(err, ErrGone):
		return http.StatusUnauthorized, false
	}
	return http.StatusServiceUnavailable, true
}
