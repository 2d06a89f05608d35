package ratelimit

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/lograte"
	"github.com/redishttp/redishttp/internal/rights"
)

// Client is what a [Limiter] needs of a go-redis client; all of them have it.
type Client = bounded.Client

//go:embed decide.lua
var decideSource string

//go:embed cell.lua
var cellSource string

//go:embed renew.lua
var renewSource string

// Limiter admits requests up to its limits, counted for all instances in
// Redis. It is safe for concurrent use.
type Limiter struct {
	config
	static  *policies // empty when limits come with each request only
	sets    sets
	redis   *bounded.Caller // nil with an engine alone
	script  *redis.Script
	cell    *redis.Script // for the usual request
	renewal *redis.Script
	nodes   *breaker.Set
	denied  *denyCache
	hot     *hot
	local   *table
	waiting chan struct{} // places to wait in, for WithDelay

	refusals *rights.Watch // of an engine's Redis

	strays    atomic.Int32 // places that are being given back
	noAddress lograte.Gate // what is logged of requests without an address
}

// New returns a Limiter that admits limit.Burst requests at once and
// limit.Rate per limit.Period in the long run: in any interval L at most
// Burst + Rate*L/Period, over all instances together. [WithLimits] adds to
// it, [WithLimitsFunc] takes its place; with one of them limit may be zero. It does not
// dial; all mistakes are reported at once, as joined [*OptionError].
func New(rdb Client, limit redis_rate.Limit, opts ...Option) (*Limiter, error) {
	l := &Limiter{config: defaults(), script: redis.NewScriptServerSHA(decideSource), cell: redis.NewScriptServerSHA(cellSource), renewal: redis.NewScriptServerSHA(renewSource)}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&l.config)
		}
	}
	limits := l.limits
	if (limit != redis_rate.Limit{}) || len(limits) == 0 && l.limitsFunc == nil {
		limits = append([]Limit{{Limit: limit, Name: l.name}}, limits...)
	}
	hasClient := !bounded.IsNil(rdb)
	static, err := compileAll(limits, l.share())
	if err := errors.Join(err, l.validate(hasClient, limits)); err != nil {
		return nil, err
	}
	if l.limitsFunc != nil { // it takes the place of limit
		if static, err = compileAll(l.limits, l.share()); err != nil {
			return nil, err
		}
	}
	l.static = static
	l.local = newTable(l.localKeys)
	l.waiting = make(chan struct{}, l.maxWaiting)
	if l.nodes = breaker.NewSet(rdb); l.engine != nil {
		l.nodes = breaker.NewSet(nil) // its client is its own
		l.refusals = rights.NewWatch(l.logger)
	}
	if l.engine == nil {
		l.denied = newDenyCache(l.denySize, l.denyStale)
		l.hot = newHot()
	}
	if hasClient {
		l.redis = bounded.New(rdb).Watch(l.logger)
	}
	for _, p := range static.all {
		if p.kind == cellRate && p.Burst > 10*p.Rate {
			l.logger.Warn("the burst is more than ten times the rate: most of a client's requests are never limited")
		}
	}
	return l, nil
}

// Allow is AllowN with a cost of 1.
func (l *Limiter) Allow(ctx context.Context, key string) (Decision, error) {
	return l.AllowN(ctx, key, 1)
}

// AllowN decides whether a request of cost n may pass and charges it if so, in
// one round trip. A cost of 0 asks without charging, a negative one gives back,
// up to a full bucket. A [Concurrency] policy is not entered (use [Limiter.Enter]);
// if there is no other, a cost that is not 0 is an error that matches
// [errors.ErrUnsupported]. So is any with [WithLimitsFunc] unless [WithLimits] adds
// limits that all requests have, and then it is about those alone.
//
// While Redis is unavailable the decision follows [WithOnUnavailable] and the
// error is that of Redis, wrapped: use the decision, report the error. A negative
// cost then gives nothing back.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (Decision, error) {
	if len(l.static.all) == 0 {
		return Decision{}, errNoLimits
	}
	return l.allow(ctx, question{set: l.static, key: key, cost: int64(n), mode: take})
}

// AllowLimits is AllowN for limits that come with the request, all of them or
// none; see [WithLimitsFunc].
func (l *Limiter) AllowLimits(ctx context.Context, key string, n int, limits ...Limit) (Decision, error) {
	if len(limits) == 0 {
		return Decision{Allowed: true, Source: FromNowhere}, nil
	}
	set, err := l.sets.of(limits, l.share())
	if err != nil {
		return Decision{}, err
	}
	return l.allow(ctx, question{set: set, key: key, cost: int64(n), mode: take})
}

// allow is for costs: a limiter of what runs at once has nothing to charge.
func (l *Limiter) allow(ctx context.Context, q question) (Decision, error) {
	if q.cost != 0 && !q.set.counts {
		return Decision{}, errOnlyPlaces
	}
	return l.observed(ctx, q)
}

var (
	errNoLimits   = fmt.Errorf("ratelimit: the limiter has no limits of its own, use AllowLimits: %w", errors.ErrUnsupported)
	errOnlyPlaces = fmt.Errorf("ratelimit: a limit of concurrency counts what runs, use Handler or Enter: %w", errors.ErrUnsupported)
)

// Peek reports the state of a key without charging it.
func (l *Limiter) Peek(ctx context.Context, key string) (Decision, error) {
	return l.AllowN(ctx, key, 0)
}

// Refund gives n back, up to a full bucket. It is for what a decision with the
// source [FromRedis] or [FromEngine] has charged; [Limiter.RefundDecision] looks
// for itself. While Redis is unavailable nothing is given back and the error says
// so.
func (l *Limiter) Refund(ctx context.Context, key string, n int) (Decision, error) {
	if n < 0 {
		return Decision{}, fmt.Errorf("ratelimit: refund of %d", n)
	}
	return l.AllowN(ctx, key, -n)
}

// RefundDecision gives back n of what the decision d charged key, up to a full
// bucket, where it was charged: in Redis, or in this process if Redis was
// unavailable. A refusal, and a decision that was not counted, charged nothing,
// so nothing is given back. n is at most the cost that was charged; it is below 0
// by mistake.
func (l *Limiter) RefundDecision(ctx context.Context, key string, d Decision, n int) error {
	q := question{set: d.set, key: key, cost: -int64(n), mode: force}
	switch {
	case n < 0:
		return fmt.Errorf("ratelimit: refund of %d", n)
	case n == 0 || d.set == nil || !d.Allowed || !d.set.counts:
		return nil
	case d.Source == FromLocal:
		l.local.take(q, l.now())
		return nil
	case d.Source != FromRedis && d.Source != FromEngine:
		return nil
	}
	_, err := l.observed(ctx, q)
	return err
}

// Charge charges n, 0 or more, for what has happened already, bytes sent or
// tokens of a model: it refuses nothing and drains the bucket at most. An engine
// without redis_rate's AllowAtMost refuses what does not fit, and the decision
// says so.
func (l *Limiter) Charge(ctx context.Context, key string, n int) (Decision, error) {
	switch {
	case n < 0:
		return Decision{}, fmt.Errorf("ratelimit: charge of %d", n)
	case len(l.static.all) == 0:
		return Decision{}, errNoLimits
	}
	return l.allow(ctx, question{set: l.static, key: key, cost: int64(n), mode: force})
}
