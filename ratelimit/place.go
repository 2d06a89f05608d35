package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Enter is AllowN that also enters a [Concurrency] policy. If d.Allowed, leave
// must be called once; it releases the place and never fails: while Redis does not
// answer, it goes on in the background, and a place that Redis never hears of ends
// after 30s.
func (l *Limiter) Enter(ctx context.Context, key string, n int, limits ...Limit) (d Decision, leave func(), err error) {
	set, err := l.setOf(limits)
	if err != nil {
		return Decision{}, func() {}, err
	}
	q := request{set: set, key: key, cost: int64(n), mode: take}.enter()
	d, err = l.decide(ctx, q)
	if !d.Allowed || q.place == "" {
		return d, func() {}, err
	}
	return d, l.hold(ctx, &admission{limiter: l, request: q, decision: d}), err
}

// hold renews a place until the returned function releases it.
func (l *Limiter) hold(ctx context.Context, a *admission) (leave func()) {
	ctx = context.WithoutCancel(ctx)
	q := a.request
	if a.decision.Source != FromRedis {
		return func() {
			if a.decision.Source == FromLocal {
				l.local.leave(&q.set.all[q.set.concurrent], q.key)
			}
		}
	}
	key := l.keysOf(q.set, q.key)[q.set.concurrent]
	r := &renewing{}
	r.timer = time.AfterFunc(lease/3, func() {
		bound, cancel := context.WithTimeout(ctx, l.timeout)
		_ = l.scripts.renewPlace(bound, key, q.place) // what fails is tried again
		cancel()
		r.again()
	})
	return func() {
		r.stop()
		(&lostPlace{limiter: l, ctx: ctx, key: key, id: q.place, known: true}).release()
	}
}

// renewing is a timer that restarts until it is stopped.
type renewing struct {
	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func (r *renewing) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.timer.Reset(lease / 3)
	}
}

func (r *renewing) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.timer.Stop()
}
