package lockmw

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/redishttp/redishttp/internal/respw"
	"github.com/redishttp/redishttp/internal/tail"
)

// Handler lets one request at a time into next for each key, over all instances.
// It returns 409 if the lock stays busy and 503 if Redis is unavailable. The
// request's context ends when the lock is lost; if nothing was written by then,
// the response is 503. The lock is released when next returns, also after a
// panic.
func (l *Locker) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.methods) > 0 && !slices.Contains(l.methods, r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		key, err := l.key(r)
		if err != nil || key == "" {
			err = errors.Join(ErrNoKey, err)
			l.reportFailure(r.Context(), err)
			l.refuse(w, r, err)
			return
		}
		k, err := l.acquire(r.Context(), request{key: key, wait: l.wait > 0, until: time.Now().Add(l.wait), share: l.readWrite && isSafe(r.Method)})
		switch {
		case err == nil:
			l.serve(w, r, next, k)
		case l.failsOpen(err):
			next.ServeHTTP(w, r)
		default:
			l.refuse(w, r, err)
		}
	})
}

// isSafe reports whether a method only reads (RFC 9110, section 9.2.1).
func isSafe(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, method)
}

// failsOpen reports whether the handler runs without its lock. A Redis that is not
// set up for locks would stay so, and a full queue means that many wait already:
// both are refused in every mode.
func (l *Locker) failsOpen(err error) bool {
	return l.failureMode == DangerouslyFailOpen && errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrQueueFull) && !errors.Is(err, ErrSetup)
}

// serve runs next while it holds the lock. A response cache around it stores the
// response while the lock is released.
func (l *Locker) serve(w http.ResponseWriter, r *http.Request, next http.Handler, k *Lock) {
	release := func() {
		if err := k.Release(r.Context()); err != nil && !errors.Is(err, ErrLost) {
			l.reportFailure(r.Context(), err)
		}
	}
	panicked := true
	defer func() {
		if panicked {
			release()
			return
		}
		tail.Of(w).Go(release)
	}()
	outer := w.Header().Clone() // what a refusal goes back to
	b, rw := respw.Wrap(w, respw.Hooks{Header: func(int) bool {
		lost := k.lostError()
		if lost == nil {
			return true
		}
		clear(w.Header())
		maps.Copy(w.Header(), outer)
		l.refuse(w, r, lost)
		return false
	}})
	next.ServeHTTP(rw, r.WithContext(k.Context()))
	b.Finish()
	panicked = false
}
