package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Enter is AllowN that also enters a [Concurrency] policy. If d.Allowed, leave
// must be called once; else it does nothing. It releases the place and never fails:
// while Redis does not answer, it continues in the background, and at the latest the
// place is free after 30s. Until then the place is renewed every 10s. Use it for work
// outside of [Limiter.Handler], such as a connection that was hijacked.
func (l *Limiter) Enter(ctx context.Context, key string, n int, limits ...Limit) (d Decision, leave func(), err error) {
	set, err := l.setOf(limits)
	if err != nil {
		return Decision{}, func() {}, err
	}
	q := request{set: set, key: key, cost: int64(n), mode: charge}.enter()
	d, err = l.decide(ctx, q)
	if !d.Allowed || q.place == "" {
		return d, func() {}, err
	}
	return d, l.hold(ctx, q, d.Source), err
}

// hold renews a place until the returned function releases it. source is where the
// request was decided.
func (l *Limiter) hold(ctx context.Context, q request, source string) (leave func()) {
	switch source {
	case fromRedis:
	case fromLocal:
		return func() { l.local.leave(&q.set.all[q.set.concurrent], q.key) }
	default:
		return func() {}
	}
	ctx = context.WithoutCancel(ctx)
	at := l.placeOf(q)
	r := &renewing{}
	r.timer = time.AfterFunc(lease/3, func() {
		bound, cancel := context.WithTimeout(ctx, l.timeout)
		_ = l.scripts.renewPlace(bound, at) // the next renewal is the retry
		cancel()
		r.again()
	})
	return func() {
		r.stop()
		(&lostPlace{limiter: l, ctx: ctx, at: at, known: true}).release()
	}
}

// renewing is a timer that restarts until it is stopped.
type renewing struct {
	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

// again restarts the timer after a renewal, unless stop was called.
func (r *renewing) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.timer.Reset(lease / 3)
	}
}

// stop ends the renewals. One that runs may still finish; it renews only a place
// that is held.
func (r *renewing) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.timer.Stop()
}
