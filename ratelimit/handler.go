package ratelimit

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/problem"
)

// Handler admits requests within the limits to next and rejects others with
// 429, or with 503 while Redis is unavailable and the failure mode is
// [FailClosed]. RateLimit headers are set before next runs. If the key, the cost or
// the limits of a request cannot be found, it gets 500: that is a mistake in the
// configuration, and never a free pass. A limiter that a request passes twice
// charges it once.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer := admissionOf(r)
		if outer.within(l) || l.skip != nil && l.skip(r) {
			next.ServeHTTP(w, r)
			return
		}
		if l.denyList != nil && l.denyList(r) {
			forbidden.Write(w, r)
			return
		}
		q, err := l.requestOf(r)
		switch {
		case err != nil:
			l.logger.LogAttrs(r.Context(), slog.LevelError, "a request cannot be counted", slog.Any("error", err))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		case q.free():
			next.ServeHTTP(w, r)
		default:
			q = l.lookup(q)
			if l.repeatRefusal(w, r, q) {
				return
			}
			if a := l.admit(r.Context(), q); a != nil {
				a.outer = outer
				l.respond(w, r, next, a)
			}
		}
	})
}

// admit decides a request, and again after a delay. It returns nil if the
// client has left.
func (l *Limiter) admit(ctx context.Context, q request) *admission {
	d, _ := l.decide(ctx, q) // the decision holds; the hook has the error
	if !d.Allowed && l.delay != nil && !l.shadow {
		q, d = l.delayed(ctx, q, d)
		if !d.Allowed && ctx.Err() != nil {
			return nil
		}
	}
	return &admission{limiter: l, request: q, decision: d}
}

// delayed holds a request back until it is admitted, if that is soon.
func (l *Limiter) delayed(ctx context.Context, q request, d Decision) (request, Decision) {
	deadline := time.Now().Add(l.delay.longest)
	for !d.Allowed && d.RetryAfter > 0 && !d.Unavailable && !time.Now().Add(d.RetryAfter).After(deadline) {
		select {
		case l.waiting <- struct{}{}:
		default:
			return q, d // as many wait already as may
		}
		timer := time.NewTimer(d.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		<-l.waiting
		if ctx.Err() != nil {
			return q, d
		}
		q = q.again()
		d, _ = l.decide(ctx, q)
	}
	return q, d
}

// respond sets the headers, and serves or rejects the request.
func (l *Limiter) respond(w http.ResponseWriter, r *http.Request, next http.Handler, a *admission) {
	if l.shadow {
		l.serve(w, r, next, a)
		return
	}
	l.setHeaders(w.Header(), a.decision, a.request.key)
	if a.decision.Allowed {
		l.serve(w, r, next, a)
		return
	}
	problem.NoStore(w.Header()) // RFC 6585, section 4
	problem.RetryAfter(w.Header(), a.decision.RetryAfter)
	if l.deny != nil {
		l.deny.ServeHTTP(w, a.in(r))
		return
	}
	problemOf(a.decision).Write(w, r)
}
