package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Block refuses everything of a key for d, on all instances; of a [Concurrency]
// policy new requests, while those that run go on. [Limiter.Reset] ends it. An
// instance that decides without Redis does not know of it. limits take the place of
// the limiter's own: policies of the same names are blocked, whatever their rates.
//
// The error matches [errors.ErrUnsupported] for engines, and for a limiter whose
// every limit comes with the request ([WithLimitsFunc]) if none are passed.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration, limits ...Limit) error {
	set, err := l.setOf(limits)
	switch {
	case l.engine != nil:
		return fmt.Errorf("ratelimit: block: an engine's keys are its own: %w", errors.ErrUnsupported)
	case err != nil:
		return fmt.Errorf("ratelimit: block: %w", err)
	case d <= 0:
		return fmt.Errorf("ratelimit: block for %v", d)
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

// Reset fills the buckets of a key and ends a block. It also frees the places of
// a [Concurrency] policy, of requests that still run too. Other instances may
// refuse for up to a second more, see [WithDenyCache]. limits take the place of
// the limiter's own: policies of the same names are reset, whatever their rates.
//
// The error matches [errors.ErrUnsupported] for engines, whose keys are their own,
// and for a limiter with [WithLimitsFunc] if no limits are passed: it cannot know
// all limits of a key. Pass those of [WithLimits] too.
func (l *Limiter) Reset(ctx context.Context, key string, limits ...Limit) error {
	set, err := l.setOf(limits)
	if l.limitsFunc != nil && len(limits) == 0 {
		err = errNoLimits
	}
	if err != nil {
		return fmt.Errorf("ratelimit: reset: %w", err)
	}
	l.local.forget(set, key)
	if l.engine != nil {
		return fmt.Errorf("ratelimit: reset: an engine's keys are its own: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	args := []any{"del"}
	for _, name := range l.keysOf(set, key) {
		args = append(args, name)
	}
	err = l.scripts.caller.Process(ctx, redis.NewIntCmd(ctx, args...))
	l.forgetRefusals(key)
	if err != nil {
		return fmt.Errorf("ratelimit: reset: %w", unavailable.Wrap(err))
	}
	return nil
}

// Keys are the Redis keys that count a key, one for each policy: for operators.
// limits take the place of the limiter's own. There are none with [WithEngine],
// whose keys are its own, and none for limits that are wrong.
func (l *Limiter) Keys(key string, limits ...Limit) []string {
	set, err := l.setOf(limits)
	if err != nil || l.engine != nil {
		return nil
	}
	return l.keysOf(set, key)
}

// forgetRefusals forgets those of all sets of limits: their policies may be the
// same.
func (l *Limiter) forgetRefusals(key string) {
	l.denied.forget(l.denyKey(l.static, key))
	for _, set := range l.sets.all() {
		l.denied.forget(l.denyKey(set, key))
	}
}
