package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/lograte"
	"github.com/redishttp/redishttp/internal/rights"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Client is what a [Limiter] needs of a go-redis client: *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it. The
// Limiter never closes it.
type Client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
}

// ErrUnavailable is returned when Redis does not answer in time, cannot be
// reached or cannot serve now. It is the ErrUnavailable of every package of this
// module, so one errors.Is serves for all. The decision is then that of the
// [FailureMode].
var ErrUnavailable = unavailable.Err

var (
	errNotCalled  = fmt.Errorf("ratelimit: %w: not called", ErrUnavailable) // the breaker is open, or the batch did not begin in time
	errNoLimits   = fmt.Errorf("ratelimit: the limits come with each request, pass them: %w", errors.ErrUnsupported)
	errOnlyPlaces = fmt.Errorf("ratelimit: a limit of concurrency counts requests that run, use Handler or Enter: %w", errors.ErrUnsupported)
)

// Limiter admits requests up to its limits, which are counted in Redis for all
// instances together. Create one for each set of limits and reuse it; it is safe for
// concurrent use and has nothing to close.
type Limiter struct {
	config
	usual   bool      // no option changes a refusal, so the response may be repeated
	static  *policies // empty if limits come with each request only
	sets    sets      // of WithLimitsFunc
	scripts *scripts  // nil with an engine alone
	bound   *bounded.Timeout
	nodes   *breaker.Set
	denied  *denyCache    // nil with an engine, and if it is turned off
	batches *batches      // nil with an engine
	local   *table        // of FailLocal
	waiting chan struct{} // bounds the requests that WithDelay delays

	refusals *rights.Watch // logs rights that an engine's Redis user lacks

	lost      atomic.Int32 // places that are being released
	noAddress lograte.Gate // of the line about requests without an address
}

// New returns a Limiter. A bucket admits limit.Burst requests at once and
// limit.Rate per limit.Period in the long run: in any interval L at most
// Burst + Rate*L/Period, over all instances together.
//
// limit is a [Limit] or a redis_rate.Limit. [WithLimits] adds to it,
// [WithLimitsFunc] takes its place; with one of them it may be the zero Limit. rdb
// may be nil with [WithEngine] only. New does not dial. It reports all mistakes at
// once, as joined [*OptionError].
func New[L Limit | redis_rate.Limit](rdb Client, limit L, opts ...Option) (*Limiter, error) {
	return newLimiter(rdb, limitOf(limit), opts)
}

// newLimiter is New for a limit that is converted. It compiles the limits first, so
// that mistakes in them are reported beside those in the options.
func newLimiter(rdb Client, limit Limit, opts []Option) (*Limiter, error) {
	l := &Limiter{config: defaults()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&l.config)
		}
	}
	limits := l.limits
	if !limit.none() || len(limits) == 0 && l.limitsFunc == nil {
		if limit.Name == "" {
			limit.Name = l.name
		}
		limits = append([]Limit{limit}, limits...)
	}
	hasClient := !bounded.IsNil(rdb)
	static, err := compileAll(limits, min(max(l.localShare, 0), 1))
	if err := errors.Join(err, l.validate(hasClient, limits)); err != nil {
		return nil, err
	}
	if l.limitsFunc != nil { // it takes the place of limit
		if static, err = compileAll(l.limits, l.localShare); err != nil {
			return nil, err
		}
	}
	l.static, l.bound = static, bounded.NewTimeout(l.timeout)
	l.sets.together = l.limitsFunc != nil || len(static.all) > 1
	l.static.together = l.sets.together
	l.usual = l.responding.usual() && l.hooks.Decided == nil
	l.local = newTable(l.localKeys)
	if l.delay != nil {
		l.waiting = make(chan struct{}, l.delay.waiting)
	}
	if hasClient {
		l.scripts = newScripts(bounded.New(rdb).Watch(l.logger), l.clock)
	}
	if l.engine != nil { // its client is its own
		l.nodes, l.refusals = breaker.NewSet(nil), rights.NewWatch(l.logger)
	} else {
		l.nodes, l.denied, l.batches = breaker.NewSet(rdb), newDenyCache(l.denySize, l.denyRecheck), newBatches()
	}
	for _, p := range static.all {
		if p.kind == bucket && p.Burst > 10*p.Rate {
			l.logger.Warn("the burst is more than ten times the rate: most of a client's requests are never limited")
		}
	}
	return l, nil
}

// setOf returns the policies of limits that a caller passes, or the limiter's own
// if it passes none.
func (l *Limiter) setOf(limits []Limit) (*policies, error) {
	if len(limits) > 0 {
		return l.sets.of(limits, l.localShare)
	}
	if len(l.static.all) == 0 {
		return nil, errNoLimits
	}
	return l.static, nil
}

// start is the moment from which nanos counts.
var start = time.Now()

// now returns the time for the deny cache, the local table and X-RateLimit-Reset.
func (l *Limiter) now() time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return time.Now()
}

// nanos returns the time on the monotonic clock, unless a test has its own.
func (l *Limiter) nanos() int64 { return int64(l.now().Sub(start)) }
