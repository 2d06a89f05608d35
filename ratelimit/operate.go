package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Block refuses all requests of a key for d, on all instances. Requests that hold a
// place of a [Concurrency] policy keep it. [Limiter.Reset] ends the block. An
// instance that decides without Redis does not know of it. d of 0 or less is an error.
// limits take the place of the limiter's own: policies of the same names are blocked,
// whatever their rates. Use it against a client that abuses the service.
//
// The error matches [errors.ErrUnsupported] for engines, and for a limiter whose
// limits all come with the request ([WithLimitsFunc]) if none are passed. It matches
// [ErrUnavailable] if Redis is unavailable.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration, limits ...Limit) error {
	set, err := l.setOf(limits)
	switch {
	case l.engine != nil:
		return fmt.Errorf("ratelimit: block: an engine's keys are its own: %w", errors.ErrUnsupported)
	case err != nil:
		return fmt.Errorf("ratelimit: block: %w", err)
	case d <= 0:
		return fmt.Errorf("ratelimit: block: %v is not above 0", d)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	q := request{set: set, key: key, cost: max(d.Microseconds(), 1), mode: block, redisKeys: l.keysOf(set, key)}
	_, err = l.scripts.run(ctx, q)
	l.forgetRefusals(key)
	if err != nil {
		return fmt.Errorf("ratelimit: block: %w", unavailable.Wrap(err))
	}
	return nil
}

// Reset fills the buckets of a key and ends a block. It also frees all places of
// a [Concurrency] policy, even those of requests that still run. Other instances may
// refuse for up to a second more, see [WithDenyCache]. limits take the place of
// the limiter's own: policies of the same names are reset, whatever their rates. Use it
// after a user has proved who they are, or in support.
//
// The error matches [errors.ErrUnsupported] for engines, whose keys are their own,
// and for a limiter with [WithLimitsFunc] if no limits are passed, because it cannot
// know all limits of a key; pass those of [WithLimits] too. It matches
// [ErrUnavailable] if Redis is unavailable.
func (l *Limiter) Reset(ctx context.Context, key string, limits ...Limit) error {
	set, err := l.setOf(limits)
	if l.limitsFunc != nil && len(limits) == 0 {
		err = errNoLimits
	}
	if err != nil {
		return fmt.Errorf("ratelimit: reset: %w", err)
	}
	// Also of an engine: its keys are its own, the local table is not.
	l.local.forget(set, key)
	if l.engine != nil {
		return fmt.Errorf("ratelimit: reset: an engine's keys are its own: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err = l.scripts.forget(ctx, set, l.keysOf(set, key))
	l.forgetRefusals(key)
	if err != nil {
		return fmt.Errorf("ratelimit: reset: %w", unavailable.Wrap(err))
	}
	return nil
}

// Keys returns the Redis keys that count a key: one of a limiter with several limits
// or with [WithLimitsFunc], else one for each of limits, which take the place of the
// limiter's own. It returns nil with [WithEngine], whose keys are its
// own, and for limits that are mistakes. Use it in operators' tools and in tests.
func (l *Limiter) Keys(key string, limits ...Limit) []string {
	set, err := l.setOf(limits)
	if err != nil || l.engine != nil {
		return nil
	}
	return l.keysOf(set, key)
}

// forgetRefusals drops the remembered refusals of a key under all sets of limits,
// because sets may share policies.
func (l *Limiter) forgetRefusals(key string) {
	l.denied.forget(l.denyKey(l.static, key))
	for _, set := range l.sets.all() {
		l.denied.forget(l.denyKey(set, key))
	}
}
