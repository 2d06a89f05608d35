package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// atMost is the method with which redis_rate charges after the fact.
type atMost interface {
	AllowAtMost(ctx context.Context, key string, limit redis_rate.Limit, n int) (*redis_rate.Result, error)
}

// callEngine counts with redis_rate or another engine. The call runs in a goroutine
// of its own, because an engine's client may ignore the deadline, and because
// redis_rate panics on replies that it does not expect.
func callEngine(ctx context.Context, engine Engine, q request) (Decision, error) {
	p, n := &q.set.all[0], int(q.cost)
	type result struct {
		res *redis_rate.Result
		err error
	}
	drains, forced := engine.(atMost)
	forced = forced && q.mode == force && n > 0
	results := make(chan result, 1)
	go func() {
		var a result
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("engine: panic: %v", p)
			}
			results <- a
		}()
		call := engine.AllowN
		if forced {
			call = drains.AllowAtMost // AllowN would refuse what does not fit
		}
		a.res, a.err = call(ctx, q.key, p.Limit.Limit, n)
	}()
	select {
	case <-ctx.Done():
		return Decision{}, context.Cause(ctx)
	case a := <-results:
		if a.err != nil {
			return Decision{}, a.err
		}
		if a.res == nil {
			return Decision{}, errors.New("engine: no result")
		}
		return engineDecision(q, a.res, n, forced), nil
	}
}

// engineDecision converts an engine's result. forced is set for a charge after the
// fact, which is never refused.
func engineDecision(q request, res *redis_rate.Result, n int, forced bool) Decision {
	p := &q.set.all[0]
	d := Decision{Allowed: forced || res.Allowed >= n || n <= 0, Source: fromEngine, set: q.set}
	d.State = State{
		Policy: p.Name, Limit: p.Limit.Limit, Remaining: max(res.Remaining, 0),
		RetryAfter: max(res.RetryAfter, 0), ResetAfter: res.ResetAfter,
	}
	switch {
	case forced:
		d.RetryAfter = 0
	case n > p.Burst:
		d.RetryAfter = never // redis_rate names a time at which it is refused too
	}
	if d.Remaining < p.Burst {
		d.NextAfter = p.Period / time.Duration(p.Rate)
	}
	return d
}
