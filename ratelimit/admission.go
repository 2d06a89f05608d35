package ratelimit

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/respw"
)

// ctxKey is the key of the admission in a request's context.
type ctxKey struct{}

// admission is a request that a limiter has decided, in its handler.
type admission struct {
	limiter  *Limiter
	request  request
	decision Decision
	outer    *admission // of an outer limiter, nil if there is none
	run      *prefetch.Run
	ctx      admitted
	later    atomic.Int64 // by ChargeLater
}

// FromContext returns the decision of the innermost [Limiter.Handler] that
// admitted the request, or that calls a deny handler. Use it to show the client's
// quota or to choose a response.
func FromContext(ctx context.Context) (Decision, bool) {
	if a := admissionOf(ctx); a != nil {
		return a.decision, true
	}
	return Decision{}, false
}

// admissionOf returns the innermost admission of a request, nil if there is none.
func admissionOf(ctx context.Context) *admission {
	a, _ := ctx.Value(ctxKey{}).(*admission)
	return a
}

// in returns the request with the admission in its context.
func (a *admission) in(r *http.Request) *http.Request {
	a.ctx = admitted{r.Context(), a}
	return r.WithContext(&a.ctx)
}

// admitted is the context of a request that was decided.
type admitted struct {
	context.Context
	a *admission
}

// Value returns the admission, and what was prefetched with the decision.
func (c *admitted) Value(key any) any {
	switch key {
	case ctxKey{}:
		return c.a
	case prefetch.Key{}:
		if c.a.request.batch.Sent() {
			return c.a.request.batch
		}
	case prefetch.RunKey{}:
		return c.a.run.In(c.Context)
	}
	return c.Context.Value(key)
}

// of returns the admission by a limiter, this one or an outer one, nil if there is
// none.
func (a *admission) of(l *Limiter) *admission {
	for ; a != nil; a = a.outer {
		if a.limiter == l {
			return a
		}
	}
	return nil
}

// ChargeLater charges n more for the request when its handler has returned:
// bytes that were sent, tokens that a model used. It never refuses and at most
// drains the bucket; the client is refused from its next request on. A negative n
// takes back earlier calls, and what the request itself was charged. It reports false
// outside of l's Handler, and if there is no bucket or window to charge.
func (l *Limiter) ChargeLater(r *http.Request, n int) bool {
	a := admissionOf(r.Context()).of(l)
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
	if l.refund != nil { // only then, because a wrapper is never free
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
		defer l.hold(r.Context(), a.request, a.decision.Source)()
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

// settle refunds and charges what is known only after the handler has returned:
// each where the request was charged, and nothing that was not.
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
	case fromLocal:
		if refund > 0 {
			q.cost = -refund
			l.local.decide(q, l.now())
		}
		refund, charged = 0, 0
	case fromNowhere:
		refund, charged = 0, 0
	}
	if q.cost = max(later-refund, -charged); q.cost != 0 {
		_, _ = l.decide(context.WithoutCancel(r.Context()), q) // the hook has the error
	}
}
