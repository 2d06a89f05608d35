package ratelimit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/clientip"
)

// Handler lets requests within the limits through to next and answers others
// with 429, or with 503 while Redis is unavailable and the limiter is
// [Closed]. RateLimit headers are set before next runs. A key, a cost or limits
// that cannot be found are answered 500, for that is a mistake of the
// configuration and never a free pass. A limiter that a request passes twice
// charges it once.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.passed(r) || l.skip != nil && l.skip(r) {
			next.ServeHTTP(w, r)
			return
		}
		if l.denyList != nil && l.denyList(r) {
			writeProblem(w, r, http.StatusForbidden, forbidden)
			return
		}
		q, err := l.questionOf(r)
		switch {
		case err != nil:
			l.logger.LogAttrs(r.Context(), slog.LevelError, "a request cannot be counted", slog.Any("error", err))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		case len(q.set.all) == 0 || q.cost == 0 && q.hold == "":
			next.ServeHTTP(w, r)
			return
		}
		asked, done := l.refuseAgain(w, r, q)
		if done {
			return
		}
		once := q
		once.asked = asked
		d, _ := l.observed(r.Context(), once) // the decision holds; the hook has the error
		if !d.Allowed && l.maxDelay > 0 && !l.shadow {
			if d = l.wait(r.Context(), &q, d); r.Context().Err() != nil && !d.Allowed {
				return // nobody is there to be answered
			}
		}
		if !l.shadow || l.shadowHeaders {
			l.setHeaders(w.Header(), d, q.key)
		}
		p := &passage{limiter: l, question: q, decision: d, outer: outer(r)}
		if !d.Allowed && !l.shadow {
			l.refuse(w, r, p)
			return
		}
		l.serve(w, r, next, p)
	})
}

// questionOf finds out what a request is counted against.
func (l *Limiter) questionOf(r *http.Request) (question, error) {
	key, err := l.key(r)
	if (err != nil || key == "") && l.fallback != nil {
		key, err = l.fallback(r)
	}
	if err == nil && key == "" {
		err = errors.New("the key is empty")
	}
	if err != nil {
		return question{}, fmt.Errorf("ratelimit: key: %w", err)
	}
	if key == sharedKey && !clientip.Peer(r).IsValid() && l.noAddress.Open(time.Minute) {
		l.logger.LogAttrs(r.Context(), slog.LevelWarn, "requests without a client address share one key: is a unix socket not trusted?", slog.String("peer", r.RemoteAddr))
	}
	q := question{set: l.static, key: key, cost: 1, mode: take}
	if l.cost != nil {
		if q.cost, err = l.costOf(r); err != nil {
			return question{}, err
		}
	}
	if l.limitsFunc != nil {
		limits := l.limitsFunc(r)
		limits = append(limits[:len(limits):len(limits)], l.limits...)
		if q.set, err = l.sets.of(limits, l.share()); err != nil {
			return question{}, err
		}
	}
	if q.set.concurrent >= 0 {
		q.hold = rand.Text()
	}
	return q, nil
}

// costOf asks the user's function, which must neither panic nor give away.
func (l *Limiter) costOf(r *http.Request) (cost int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("ratelimit: cost: panic: %v", p)
		}
	}()
	if cost = l.cost(r); cost < 0 {
		return 0, fmt.Errorf("ratelimit: cost: %d is below 0", cost)
	}
	return cost, nil
}

// wait holds a request back until it would be admitted, if that is soon.
func (l *Limiter) wait(ctx context.Context, q *question, d Decision) Decision {
	deadline := time.Now().Add(l.maxDelay)
	for !d.Allowed && d.RetryAfter > 0 && !d.Unavailable && !time.Now().Add(d.RetryAfter).After(deadline) {
		select {
		case l.waiting <- struct{}{}:
		default:
			return d // as many wait already as may
		}
		timer := time.NewTimer(d.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		<-l.waiting
		if ctx.Err() != nil {
			return d
		}
		if q.hold != "" {
			q.hold = rand.Text() // what became of the last place that was asked for may not be known
		}
		d, _ = l.observed(ctx, *q)
	}
	return d
}
