package ratelimit

import (
	"context"
	"fmt"
)

// Allow is AllowN with a cost of 1.
func (l *Limiter) Allow(ctx context.Context, key string, limits ...Limit) (Decision, error) {
	return l.AllowN(ctx, key, 1, limits...)
}

// AllowN decides whether a request of cost n is admitted and charges it if so,
// in one round trip. A cost of 0 only reads, a negative one gives back, up to a
// full bucket. limits take the place of the limiter's own; pass them with
// [WithLimitsFunc].
//
// While Redis is unavailable, the decision follows [WithFailureMode] and the
// error matches [ErrUnavailable]: use the decision, report the error. A negative
// cost then gives nothing back.
//
// The error matches [errors.ErrUnsupported] if there are no limits, and if there
// is only a [Concurrency] policy, which [Limiter.Enter] enters and AllowN does not.
func (l *Limiter) AllowN(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	return l.allow(ctx, request{key: key, cost: int64(n), mode: take}, limits)
}

// Peek returns the state of a key without charging it.
func (l *Limiter) Peek(ctx context.Context, key string, limits ...Limit) (Decision, error) {
	return l.AllowN(ctx, key, 0, limits...)
}

// Refund gives n back, up to a full bucket. It is for what a decision with the
// source [FromRedis] or [FromEngine] has charged; [Limiter.RefundDecision] finds
// that out itself. While Redis is unavailable nothing is given back, and the error
// matches [ErrUnavailable]. A negative n is an error.
func (l *Limiter) Refund(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	if n < 0 {
		return Decision{}, fmt.Errorf("ratelimit: refund of %d", n)
	}
	return l.AllowN(ctx, key, -n, limits...)
}

// RefundDecision gives back n of what the decision d charged key, up to a full
// bucket, where it was charged: in Redis, or in this process if Redis was
// unavailable. A refusal and a decision that was not counted charged nothing, so
// nothing is given back. n is at most the cost that was charged; a negative n is an
// error.
func (l *Limiter) RefundDecision(ctx context.Context, key string, d Decision, n int) error {
	q := request{set: d.set, key: key, cost: -int64(n), mode: force}
	switch {
	case n < 0:
		return fmt.Errorf("ratelimit: refund of %d", n)
	case n == 0 || d.set == nil || !d.Allowed || !d.set.counts:
		return nil
	case d.Source == FromLocal:
		l.local.decide(q, l.now())
		return nil
	case d.Source != FromRedis && d.Source != FromEngine:
		return nil
	}
	_, err := l.decide(ctx, q)
	return err
}

// Charge charges n after the fact, such as bytes sent or tokens of a model: it
// never refuses, and at most drains the bucket. A negative n is an error. An engine
// without redis_rate's AllowAtMost refuses what does not fit, and the decision
// says so.
func (l *Limiter) Charge(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	if n < 0 {
		return Decision{}, fmt.Errorf("ratelimit: charge of %d", n)
	}
	return l.allow(ctx, request{key: key, cost: int64(n), mode: force}, limits)
}

// allow is for costs: a limiter of concurrency alone has nothing to charge.
func (l *Limiter) allow(ctx context.Context, q request, limits []Limit) (d Decision, err error) {
	if q.set, err = l.setOf(limits); err != nil {
		return Decision{}, err
	}
	if q.cost != 0 && !q.set.counts {
		return Decision{}, errOnlyPlaces
	}
	return l.decide(ctx, q)
}
