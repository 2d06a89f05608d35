package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Block refuses everything of a key for d, on all instances; of a [Concurrency]
// policy new requests, while those that run go on. [Limiter.Reset] ends it. It is
// not known to an instance that decides without Redis.
//
// The error matches [errors.ErrUnsupported] for a limiter whose every limit comes
// with the request ([WithLimitsFunc]; use [Limiter.BlockLimits], or give all
// requests one limit with [WithLimits]), and for engines.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration) error {
	if l.limitsFunc != nil && len(l.static.all) == 0 {
		return fmt.Errorf("ratelimit: block: the limits come with each request, use BlockLimits: %w", errors.ErrUnsupported)
	}
	return l.block(ctx, l.static, key, d)
}

// BlockLimits is Block for limits that come with the request: those of the same
// names are blocked, whatever their rates.
func (l *Limiter) BlockLimits(ctx context.Context, key string, d time.Duration, limits ...Limit) error {
	set, err := l.sets.of(limits, l.share())
	if err != nil {
		return err
	}
	return l.block(ctx, set, key, d)
}

func (l *Limiter) block(ctx context.Context, set *policies, key string, d time.Duration) error {
	switch {
	case l.engine != nil:
		return fmt.Errorf("ratelimit: block: an engine's keys are its own: %w", errors.ErrUnsupported)
	case len(set.all) == 0:
		return fmt.Errorf("ratelimit: block: no limits: %w", errors.ErrUnsupported)
	case d <= 0:
		return fmt.Errorf("ratelimit: block for %v", d)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	q := question{set: set, key: key, keys: l.redisKeys(set, key), cost: max(d.Microseconds(), 1), mode: block}
	_, err := l.ask(ctx, q)
	l.forgetRefusals(key)
	if err != nil {
		return fmt.Errorf("ratelimit: block: %w", err)
	}
	return nil
}

// Reset fills the buckets of a key and ends a block. It also frees the places of
// a [Concurrency] policy, of requests that still run too. Other instances may
// refuse for up to a second more, see [WithDenyCache].
//
// The error matches [errors.ErrUnsupported] for a limiter with [WithLimitsFunc],
// which cannot know all limits of a key (use [Limiter.ResetLimits]), and for
// engines, whose keys are their own.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	if l.limitsFunc != nil {
		return fmt.Errorf("ratelimit: reset: limits come with each request, use ResetLimits: %w", errors.ErrUnsupported)
	}
	return l.reset(ctx, l.static, key)
}

// ResetLimits is Reset for limits that come with the request: those of the same
// names are reset, whatever their rates. Add those of [WithLimits].
func (l *Limiter) ResetLimits(ctx context.Context, key string, limits ...Limit) error {
	set, err := l.sets.of(limits, l.share())
	if err != nil {
		return err
	}
	return l.reset(ctx, set, key)
}

func (l *Limiter) reset(ctx context.Context, set *policies, key string) error {
	l.local.forget(set, key)
	switch {
	case l.engine != nil:
		return fmt.Errorf("ratelimit: reset: an engine's keys are its own: %w", errors.ErrUnsupported)
	case len(set.all) == 0:
		return fmt.Errorf("ratelimit: reset: no limits: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	args := []any{"del"}
	for _, name := range l.redisKeys(set, key) {
		args = append(args, name)
	}
	err := l.redis.Process(ctx, redis.NewIntCmd(ctx, args...))
	l.forgetRefusals(key)
	if err != nil {
		return fmt.Errorf("ratelimit: reset: %w", err)
	}
	return nil
}

// forgetRefusals forgets those of all sets of limits: their policies may be the
// same.
func (l *Limiter) forgetRefusals(key string) {
	l.denied.forget(l.denyKey(l.static, key))
	for _, set := range l.sets.all() {
		l.denied.forget(l.denyKey(set, key))
	}
}
