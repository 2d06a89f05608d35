package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Engine counts in place of the package's own script. A *redis_rate.Limiter is
// one as it is.
type Engine interface {
	AllowN(ctx context.Context, key string, limit redis_rate.Limit, n int) (*redis_rate.Result, error)
}

// atMost is the method by which redis_rate charges what has happened already.
type atMost interface {
	AllowAtMost(ctx context.Context, key string, limit redis_rate.Limit, n int) (*redis_rate.Result, error)
}

// callEngine counts with redis_rate or another engine. It runs in a goroutine
// of its own, because an engine's client may ignore the deadline, and because
// redis_rate panics on replies that it does not expect.
func (l *Limiter) callEngine(ctx context.Context, q request) (Decision, error) {
	p, n := &q.set.all[0], int(q.cost)
	type answer struct {
		res *redis_rate.Result
		err error
	}
	drains, forced := l.engine.(atMost)
	forced = forced && q.mode == force && n > 0
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("engine: panic: %v", p)
			}
			answers <- a
		}()
		charge := l.engine.AllowN
		if forced {
			charge = drains.AllowAtMost // AllowN would refuse what does not fit
		}
		a.res, a.err = charge(ctx, q.key, p.Limit.Limit, n)
	}()
	select {
	case <-ctx.Done():
		return Decision{}, context.Cause(ctx)
	case a := <-answers:
		if a.err != nil {
			l.refusals.See(ctx, a.err)
			return Decision{}, a.err
		}
		if a.res == nil {
			return Decision{}, errors.New("engine: no result")
		}
		d := Decision{Allowed: a.res.Allowed >= n || n <= 0, Source: FromEngine, set: q.set}
		d.State = State{
			Policy: p.Name, Limit: p.Limit.Limit, Remaining: max(a.res.Remaining, 0),
			RetryAfter: max(a.res.RetryAfter, 0), ResetAfter: a.res.ResetAfter,
		}
		if forced {
			d.Allowed, d.RetryAfter = true, 0
		} else if n > p.Burst {
			d.RetryAfter = Never // redis_rate names a time at which it cannot pass either
		}
		if d.Remaining < p.Burst {
			d.NextAfter = p.Period / time.Duration(p.Rate)
		}
		return d, nil
	}
}
