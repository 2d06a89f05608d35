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
// in one round trip. A cost of 0 only reads the state of the key, a negative one gives
// back, up to a full bucket; see [Limiter.Refund]. limits take the place of the
// limiter's own; pass them with [WithLimitsFunc]. Use it outside of HTTP, such as in
// a worker or for messages of a connection.
//
// While Redis is unavailable, the decision follows [WithFailureMode] and the
// error matches [ErrUnavailable]: use the decision, report the error. A negative
// cost then gives nothing back.
//
// The error matches [errors.ErrUnsupported] if there are no limits, and if there
// is only a [Concurrency] policy, which [Limiter.Enter] enters and AllowN does not.
func (l *Limiter) AllowN(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	return l.allow(ctx, request{key: key, cost: int64(n), mode: charge}, limits)
}

// Refund gives back n of what the decision d charged key, up to a full bucket,
// where it was charged: in Redis, or in this process if Redis was unavailable. A
// refusal and a decision that was not counted charged nothing, so nothing is given
// back. n is at most the cost that was charged; a negative n is an error. If Redis is
// unavailable, a refund in Redis is lost and the error matches [ErrUnavailable].
func (l *Limiter) Refund(ctx context.Context, key string, d Decision, n int) error {
	q := request{set: d.set, key: key, cost: -int64(n), mode: force}
	switch {
	case n < 0:
		return fmt.Errorf("ratelimit: refund: %d is below 0", n)
	case n == 0 || d.set == nil || !d.Allowed || !d.set.counts:
		return nil
	case d.Source == fromLocal:
		l.local.decide(q, l.now())
		return nil
	case d.Source != fromRedis && d.Source != fromEngine:
		return nil
	}
	_, err := l.decide(ctx, q)
	return err
}

// Charge charges n after the fact, such as bytes sent or tokens of a model: it
// never refuses, and at most drains the bucket. A negative n is an error. limits and
// the error are those of [Limiter.AllowN]. An engine without redis_rate's
// AllowAtMost refuses what does not fit, and the decision says so.
func (l *Limiter) Charge(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	if n < 0 {
		return Decision{}, fmt.Errorf("ratelimit: charge: %d is below 0", n)
	}
	return l.allow(ctx, request{key: key, cost: int64(n), mode: force}, limits)
}

// allow decides a cost. A limiter of concurrency alone has nothing to charge.
func (l *Limiter) allow(ctx context.Context, q request, limits []Limit) (d Decision, err error) {
	if q.set, err = l.setOf(limits); err != nil {
		return Decision{}, err
	}
	if q.cost != 0 && !q.set.counts {
		return Decision{}, errOnlyPlaces
	}
	return l.decide(ctx, q)
}
