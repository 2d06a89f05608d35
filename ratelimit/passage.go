package ratelimit

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/respw"
)

type ctxKey struct{}

// passage is a request on its way through a limiter.
type passage struct {
	limiter  *Limiter
	question question
	decision Decision
	outer    *passage // of a limiter further out
	later    atomic.Int64
}

func outer(r *http.Request) *passage {
	p, _ := r.Context().Value(ctxKey{}).(*passage)
	return p
}

// passed reports whether the request is already inside this limiter.
func (l *Limiter) passed(r *http.Request) bool {
	for p := outer(r); p != nil; p = p.outer {
		if p.limiter == l {
			return true
		}
	}
	return false
}

// ChargeLater charges n more for the request when its handler has returned:
// bytes that were sent, tokens that a model used. It refuses nothing and drains
// the bucket at most; the client notices with its next request. A negative n takes
// back of earlier calls, and of what the request itself was charged. It reports
// false outside of l's Handler, and where there is no bucket or window to charge.
func (l *Limiter) ChargeLater(r *http.Request, n int64) bool {
	for p := outer(r); p != nil; p = p.outer {
		if p.limiter == l && p.question.set.counts {
			p.later.Add(n)
			return true
		}
	}
	return false
}

// serve calls the handler and settles afterwards, also after a panic.
func (l *Limiter) serve(w http.ResponseWriter, r *http.Request, next http.Handler, p *passage) {
	r = r.WithContext(context.WithValue(r.Context(), ctxKey{}, p))
	status := func() int { return http.StatusOK }
	if l.refund != nil { // only then, for a wrapper is never free
		b, rw := respw.Wrap(w, respw.Hooks{})
		status = func() int {
			if s := b.Status(); s != 0 {
				return s
			}
			return http.StatusOK // what net/http answers in the handler's stead
		}
		w = rw
	}
	if p.question.hold != "" && p.decision.Allowed {
		defer l.hold(r.Context(), p)()
	}
	panicked := true
	defer func() {
		s := http.StatusInternalServerError
		if !panicked {
			s = status()
		}
		l.settle(r, p, s)
	}()
	next.ServeHTTP(w, r)
	panicked = false
}

// settle gives back and charges what is known only now: each where it was
// charged, and nothing that was not.
func (l *Limiter) settle(r *http.Request, p *passage, status int) {
	q := p.question
	charged := q.cost
	if !p.decision.Allowed {
		charged = 0
	}
	refund, later := int64(0), p.later.Load()
	if l.refund != nil && charged > 0 {
		refund = min(max(l.refund(status, r), 0), charged)
	}
	q.hold, q.mode = "", force
	switch p.decision.Source {
	case FromLocal:
		if refund > 0 {
			q.cost = -refund
			l.local.take(q, l.now())
		}
		refund, charged = 0, 0
	case FromNowhere:
		refund, charged = 0, 0
	}
	if q.cost = max(later-refund, -charged); q.cost != 0 {
		_, _ = l.observed(context.WithoutCancel(r.Context()), q) // the hook has the error
	}
}

// SkipSuccessful refunds requests that were answered below 400, so that only
// failures count: attempts to log in.
func SkipSuccessful(status int, _ *http.Request) int64 {
	if status < http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// SkipFailed refunds requests that were answered 400 or above, so that only
// what was delivered counts.
func SkipFailed(status int, _ *http.Request) int64 {
	if status >= http.StatusBadRequest {
		return maxRefund
	}
	return 0
}

// maxRefund is cut to what was charged.
const maxRefund = 1 << 53
