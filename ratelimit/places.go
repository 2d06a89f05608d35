package ratelimit

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// Enter is AllowN with a place of a [Concurrency] policy. leave must be called,
// once, when d.Allowed; it gives the place back and never fails: while Redis does
// not answer that is repeated in the background, and a place that Redis never
// hears of ends by itself.
func (l *Limiter) Enter(ctx context.Context, key string, n int) (d Decision, leave func(), err error) {
	if len(l.static.all) == 0 {
		return Decision{}, func() {}, errNoLimits
	}
	q := question{set: l.static, key: key, cost: int64(n), mode: take}
	if q.set.concurrent >= 0 {
		q.hold = rand.Text()
	}
	d, err = l.observed(ctx, q)
	if !d.Allowed || q.hold == "" {
		return d, func() {}, err
	}
	return d, l.hold(ctx, &passage{limiter: l, question: q, decision: d}), err
}

// hold renews a place until the returned function gives it back.
func (l *Limiter) hold(ctx context.Context, p *passage) (leave func()) {
	ctx = context.WithoutCancel(ctx)
	policy := &p.question.set.all[p.question.set.concurrent]
	if p.decision.Source != FromRedis {
		return func() {
			if p.decision.Source == FromLocal {
				l.local.leave(policy, p.question.key)
			}
		}
	}
	key := l.redisKeys(p.question.set, p.question.key)[p.question.set.concurrent]
	r := &renewing{}
	r.timer = time.AfterFunc(lease/3, func() {
		bound, cancel := context.WithTimeout(ctx, l.timeout)
		_, _ = l.redis.Ints(bound, l.renewal, []string{key}, l.clockArg(), lease.Microseconds(), p.question.hold)
		cancel()
		r.again()
	})
	return func() {
		r.stop()
		(&stray{limiter: l, ctx: ctx, key: key, id: p.question.hold, known: true}).giveBack()
	}
}

// renewing is a timer that is started again and again until it is stopped.
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
