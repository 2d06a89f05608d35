package ratelimit

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
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
}

// New returns a Limiter that admits limit.Burst requests at once and
// limit.Rate per limit.Period in the long run: in any interval L at most
// Burst + Rate*L/Period, over all instances together. [WithLimits] and
// [WithLimitsFunc] add to it; with one of them limit may be zero. It does not
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
	l.static = static
	l.local = newTable(l.localKeys)
	l.waiting = make(chan struct{}, l.maxWaiting)
	if l.nodes = breaker.NewSet(rdb); l.engine != nil {
		l.nodes = breaker.NewSet(nil) // its client is its own
	}
	if l.engine == nil {
		l.denied = newDenyCache(l.denySize, l.denyStale)
		l.hot = newHot()
	}
	if hasClient {
		l.redis = bounded.New(rdb)
		if !l.redis.HonorsDeadlines() {
			l.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, each call costs a goroutine meanwhile")
		}
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
// up to a full bucket.
//
// While Redis is unavailable the decision follows [WithOnUnavailable] and the
// error is that of Redis, wrapped: use the decision, report the error.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (Decision, error) {
	if len(l.static.all) == 0 {
		return Decision{}, errNoLimits
	}
	return l.observed(ctx, question{set: l.static, key: key, cost: int64(n), mode: take})
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
	return l.observed(ctx, question{set: set, key: key, cost: int64(n), mode: take})
}

var errNoLimits = errors.New("ratelimit: the limiter has no limits of its own: use AllowLimits")

// Peek reports the state of a key without charging it.
func (l *Limiter) Peek(ctx context.Context, key string) (Decision, error) {
	return l.AllowN(ctx, key, 0)
}

// Refund gives n back, up to a full bucket.
func (l *Limiter) Refund(ctx context.Context, key string, n int) (Decision, error) {
	if n < 0 {
		return Decision{}, fmt.Errorf("ratelimit: refund of %d", n)
	}
	return l.AllowN(ctx, key, -n)
}

// Charge charges n for what has happened already, bytes sent or tokens of a
// model: it refuses nothing and empties the bucket at most.
func (l *Limiter) Charge(ctx context.Context, key string, n int) (Decision, error) {
	if len(l.static.all) == 0 {
		return Decision{}, errNoLimits
	}
	return l.observed(ctx, question{set: l.static, key: key, cost: int64(n), mode: force})
}

// Block refuses everything of a key for d. Reset ends it.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration) error {
	switch {
	case l.engine != nil || len(l.static.all) == 0:
		return fmt.Errorf("ratelimit: block: %w", errors.ErrUnsupported)
	case d <= 0:
		return fmt.Errorf("ratelimit: block for %v", d)
	}
	l.denied.forget(l.denyKey(l.static, key))
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if _, err := l.ask(ctx, question{set: l.static, key: key, keys: l.redisKeys(l.static, key), cost: d.Microseconds(), mode: block}); err != nil {
		return fmt.Errorf("ratelimit: block: %w", err)
	}
	return nil
}

// Reset fills the buckets of a key and ends a block. It is not for engines,
// whose keys are their own. Other instances may refuse for up to a second more,
// see [WithDenyCache].
func (l *Limiter) Reset(ctx context.Context, key string) error {
	l.local.forget(l.static, key)
	l.denied.forget(l.denyKey(l.static, key))
	if l.engine != nil || len(l.static.all) == 0 {
		return fmt.Errorf("ratelimit: reset: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	args := []any{"del"}
	for _, name := range l.redisKeys(l.static, key) {
		args = append(args, name)
	}
	if err := l.redis.Process(ctx, redis.NewIntCmd(ctx, args...)); err != nil {
		return fmt.Errorf("ratelimit: reset: %w", err)
	}
	return nil
}
