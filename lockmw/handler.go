package lockmw

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/internal/respw"
)

// maxRetryAfter caps the hint to clients: a lease is renewed anyway.
const maxRetryAfter = 30 * time.Second

// Handler lets one request at a time into next for each key, over all
// instances. A lock that stays busy is answered 409, an unavailable Redis 503.
// The request's context ends when the lock is lost; if nothing was written by
// then the answer is a 503. The lock is released when next returns, also after
// a panic.
func (l *Locker) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.methods) > 0 && !slices.Contains(l.methods, r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		key, err := l.key(r)
		if err != nil || key == "" {
			err = errors.Join(ErrNoKey, err)
			l.failed(r.Context(), err)
			l.refuse(w, r, err)
			return
		}
		k, err := l.take(r.Context(), key, time.Now().Add(l.wait), l.wait > 0, l.readWrite && safe(r.Method))
		switch {
		case err == nil:
			l.serve(w, r, next, k)
		case l.failOpen && errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrQueueFull) && !errors.Is(err, ErrSetup):
			next.ServeHTTP(w, r)
		default:
			l.refuse(w, r, err)
		}
	})
}

// safe methods only read (RFC 9110, section 9.2.1).
func safe(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, method)
}

func (l *Locker) serve(w http.ResponseWriter, r *http.Request, next http.Handler, k *Lock) {
	defer func() { // on a panic as well
		if err := k.Release(r.Context()); err != nil && !errors.Is(err, ErrLost) {
			l.failed(r.Context(), err)
		}
	}()
	outer := w.Header().Clone() // what a refusal goes back to
	b, rw := respw.Wrap(w, respw.Hooks{Header: func(int) bool {
		if k.Lost() == nil {
			return true
		}
		clear(w.Header())
		maps.Copy(w.Header(), outer)
		problem(w, r, http.StatusServiceUnavailable, "The lock was lost while the request ran.", time.Second)
		return false
	}})
	next.ServeHTTP(rw, r.WithContext(k.Context()))
	b.Finish()
}

// refuse answers a request that did not get its lock. What an operator must
// mend is logged, with the reason.
func (l *Locker) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var busy *BusyError
	switch {
	case errors.As(err, &busy):
		problem(w, r, l.busyStatus, "Another request holds the lock.", busy.RetryAfter)
	case errors.Is(err, ErrNoKey):
		l.mistake(r, "no key for a request", err)
		problem(w, r, http.StatusInternalServerError, "The request has no key to lock; see the log.", 0)
	case errors.Is(err, ErrNested):
		l.mistake(r, "a lock is nested in itself", err)
		problem(w, r, http.StatusInternalServerError, "The request holds this lock already.", 0)
	case isMistake(err):
		l.mistake(r, "redis is not set up for locks", err)
		problem(w, r, http.StatusInternalServerError, "", 0)
	default:
		if errors.Is(err, ErrSetup) {
			l.mistake(r, "redis is not set up for locks", err)
		}
		problem(w, r, http.StatusServiceUnavailable, "", time.Second)
	}
}

func (l *Locker) mistake(r *http.Request, message string, err error) {
	l.logger.LogAttrs(r.Context(), slog.LevelError, message, slog.String("pattern", r.Pattern), slog.Any("error", err))
}

// problem writes application/problem+json (RFC 9457); retry is rounded up, 0
// for no hint.
func problem(w http.ResponseWriter, r *http.Request, status int, detail string, retry time.Duration) {
	h := w.Header()
	if retry > 0 {
		retry = min(retry, maxRetryAfter)
		h.Set("Retry-After", strconv.Itoa(int((retry+time.Second-1)/time.Second)))
	}
	body, _ := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{http.StatusText(status), status, detail})
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}
