package ratelimit

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/respw"
)

type ctxKey struct{}

// admission is a request that a limiter has decided, in its handler.
type admission struct {
	limiter  *Limiter
	request  request
	decision Decision
	outer    *admission // of an outer limiter
	later    atomic.Int64
}

// admissionOf is the innermost admission of a request, nil if there is none.
func admissionOf(r *http.Request) *admission {
	a, _ := r.Context().Value(ctxKey{}).(*admission)
	return a
}

// in is the request with the admission in its context.
func (a *admission) in(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), ctxKey{}, a))
}

// of is the admission by a limiter, this one or an outer one. It is nil if
// there is none.
func (a *admission) of(l *Limiter) *admission {
	for ; a != nil; a = a.outer {
		if a.limiter == l {
			return a
		}
	}
	return nil
}

// within reports whether the request is already inside a limiter.
func (a *admission) within(l *Limiter) bool { return a.of(l) != nil }

// ChargeLater charges n more for the request when its handler has returned:
// bytes that were sent, tokens that a model used. It never refuses and at most
// drains the bucket; the client notices with its next request. A negative n takes
// back earlier calls, and what the request itself was charged. It reports false
// outside of l's Handler, and where there is no bucket or window to charge.
func (l *Limiter) ChargeLater(r *http.Request, n int) bool {
	a := admissionOf(r).of(l)
	if a == nil || !a.request.set.counts {
		return false
	}
	a.later.Add(int64(n))
	return true
}

// serve calls the handler and settles afterwards, also after a panic.
func (l *Limiter) serve(w http.ResponseWriter, r *http.Request, next http.Handler, a *admission) {
	r = a.in(r)
	status := func() int { return http.StatusOK }
	if l.refund != nil { // only then, as a wrapper is never free
		b, rw := respw.Wrap(w, respw.Hooks{})
		status = func() int {
			if s := b.Status(); s != 0 {
				return s
			}
			return http.StatusOK // which net/http sends for a handler that wrote nothing
		}
		w = rw
	}
	if a.request.place != "" && a.decision.Allowed {
		defer l.hold(r.Context(), a)()
	}
	panicked := true
	defer func() {
		s := http.StatusInternalServerError
		if !panicked {
			s = status()
		}
		l.settle(r, a, s)
	}()
	next.ServeHTTP(w, r)
	panicked = false
}

// settle gives back and charges what is known only after the handler: each
// where it was charged, and nothing that was not.
func (l *Limiter) settle(r *http.Request, a *admission, status int) {
	q := request{set: a.request.set, key: a.request.key, mode: force}
	charged := a.request.cost
	if !a.decision.Allowed {
		charged = 0
	}
	refund, later := int64(0), a.later.Load()
	if l.refund != nil && charged > 0 {
		refund = min(max(int64(l.refund(status, r)), 0), charged)
	}
	switch a.decision.Source {
	case FromLocal:
		if refund > 0 {
			q.cost = -refund
			l.local.decide(q, l.now())
		}
		refund, charged = 0, 0
	case FromNowhere:
		refund, charged = 0, 0
	case FromRedis, FromEngine, FromDenyCache:
	}
	if q.cost = max(later-refund, -charged); q.cost != 0 {
		_, _ = l.decide(context.WithoutCancel(r.Context()), q) // the hook has the error
	}
}

// SkipSuccessful is for [WithRefund]: responses below 400 are given back, so
// that only failures count, such as failed logins.
func SkipSuccessful(status int, _ *http.Request) int {
	if status < http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// SkipFailed is for [WithRefund]: responses of 400 and above are given back, so
// that only what was delivered counts.
func SkipFailed(status int, _ *http.Request) int {
	if status >= http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// maxRefund is cut to what was charged.
const maxRefund = 1<<31 - 1
