package ratelimit

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/prefetch"
)

// Handler returns a handler that passes requests within the limits to next and
// rejects others with 429 (RFC 6585, section 4), or with 503 while Redis is
// unavailable and the failure mode is [FailClosed]. RateLimit headers are set before
// next runs. If the functions of the options return no key, cost or limits for a
// request, it gets 500: it is never admitted uncounted by mistake. A limiter that a
// request passes twice charges it once.
//
// The session and the response cache inside of it are read in the same round trip,
// see [WithPrefetch].
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return &handler{l: l, next: next, run: prefetch.NewRun(next)}
}

// handler is the limiter around one handler.
type handler struct {
	l    *Limiter
	next http.Handler
	run  *prefetch.Run // of the handlers inside
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := h.l
	outer := admissionOf(r.Context())
	if outer.of(l) != nil || l.skip != nil && l.skip(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	q, err := l.requestOf(r)
	switch {
	case err != nil:
		l.logger.LogAttrs(r.Context(), slog.LevelError, "a request cannot be counted", slog.Any("error", err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	case q.free():
		h.next.ServeHTTP(w, r)
	default:
		q = l.lookup(q)
		if l.repeatRefusal(w, r, q) {
			return
		}
		var run *prefetch.Run
		if h.begins(r) {
			run = h.run
			q.batch = run.Batch(r)
			defer q.batch.Close()
		}
		if a := l.admit(r.Context(), q); a != nil {
			a.outer, a.run = outer, run
			l.respond(w, r, h.next, a)
		}
	}
}

// begins reports whether this limiter has the handlers inside ask with it. If it is
// inside of another beginner, that one does.
func (h *handler) begins(r *http.Request) bool {
	return h.l.prefetch && h.l.engine == nil && !prefetch.Visited(r.Context(), h)
}

// Owner implements [prefetch.Handler].
func (h *handler) Owner() any { return h.l }

// Prefetch implements [prefetch.Handler]. A limiter asks nothing ahead of its turn,
// because asking is charging.
func (h *handler) Prefetch(b *prefetch.Batch, _ *http.Request) {
	if h.l.prefetch {
		b.Visit(h.run.Next())
	}
}

// admit decides a request, and again after each delay. It returns nil if the
// client has disconnected.
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

// delayed delays a request until it is admitted, if that is soon enough.
func (l *Limiter) delayed(ctx context.Context, q request, d Decision) (request, Decision) {
	deadline := time.Now().Add(l.delay.longest)
	for !d.Allowed && d.RetryAfter > 0 && !d.Unavailable && !time.Now().Add(d.RetryAfter).After(deadline) {
		select {
		case l.waiting <- struct{}{}:
		default:
			return q, d // as many requests wait already as may
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
		q.batch.Close() // what was read is too old by now
		q = q.again()
		d, _ = l.decide(ctx, q)
	}
	return q, d
}

// respond sets the headers, and serves or refuses the request.
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
	l.refuse(w, r, a)
}
