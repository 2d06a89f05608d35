package lockmw

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/problem"
)

// maxRetryAfter caps the hint to clients: a lease may be renewed anyway.
const maxRetryAfter = 30 * time.Second

type denyKey struct{}

// DenyReason returns why a request was refused, in the handler of
// [WithDenyHandler]. It matches [ErrBusy], [ErrUnavailable], [ErrLost],
// [ErrNoKey], [ErrNested], [ErrSetup] or [ErrClosed]. It is nil elsewhere.
//
//	sorry := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//		if errors.Is(lockmw.DenyReason(r.Context()), lockmw.ErrBusy) {
//			fmt.Fprintln(w, "Another tab is saving this order.")
//			return
//		}
//		fmt.Fprintln(w, "Please try again.")
//	})
//
// Do not write the error itself: it is for logs, and may name servers.
func DenyReason(ctx context.Context) error {
	err, _ := ctx.Value(denyKey{}).(error)
	return err
}

// refusal is the response to a request that does not have its lock.
type refusal struct {
	status int
	detail string
	retry  time.Duration // 0 for no hint
	fix    bool          // an operator has to
}

// refuse responds to a request that does not have its lock because of err.
func (l *Locker) refuse(w http.ResponseWriter, r *http.Request, err error) {
	ref := refusalFor(err)
	if ref.fix {
		l.logger.LogAttrs(r.Context(), slog.LevelError, "a request cannot be locked", slog.String("pattern", r.Pattern), slog.Any("error", err))
	}
	problem.RetryAfter(w.Header(), min(ref.retry, maxRetryAfter))
	if l.deny == nil {
		problem.Of(ref.status, ref.detail).Write(w, r)
		return
	}
	problem.NoStore(w.Header())
	dw, done := problem.WithStatus(w, ref.status)
	l.deny.ServeHTTP(dw, r.WithContext(context.WithValue(r.Context(), denyKey{}, err)))
	done()
}

// refusalFor returns the response to an error: 409 when waiting helps the client,
// which generic clients do not repeat by themselves as they do 429; 503 when Redis may
// be back soon, and 500 for what only a change of the program or of Redis can fix.
// The details name no key and no server.
func refusalFor(err error) refusal {
	switch {
	case errors.Is(err, ErrBusy):
		return refusal{status: http.StatusConflict, detail: "Another request holds the lock.", retry: RetryAfter(err)}
	case errors.Is(err, ErrLost):
		return refusal{status: http.StatusServiceUnavailable, detail: "The lock was lost while the request ran.", retry: time.Second}
	case errors.Is(err, ErrNoKey):
		return refusal{status: http.StatusInternalServerError, detail: "The request has no key to lock; see the log.", fix: true}
	case errors.Is(err, ErrNested):
		return refusal{status: http.StatusInternalServerError, detail: "The request holds this lock already.", fix: true}
	case isMistake(err):
		return refusal{status: http.StatusInternalServerError, fix: true}
	case errors.Is(err, ErrSetup):
		return refusal{status: http.StatusServiceUnavailable, retry: time.Second, fix: true}
	}
	return refusal{status: http.StatusServiceUnavailable, retry: time.Second}
}
