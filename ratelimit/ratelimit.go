package ratelimit

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the script
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

// Client is what a [Limiter] needs of a go-redis client; all of them have it.
type Client = bounded.Client

//go:embed gcra.lua
var gcraSource string

// Limiter admits requests up to a limit, counted for all instances in Redis.
// It is safe for concurrent use.
type Limiter struct {
	config
	limit   redis_rate.Limit
	units   units
	redis   *bounded.Caller // nil with an engine alone
	script  *redis.Script
	breaker breaker.Breaker
	local   *table
}

// New returns a Limiter that admits limit.Burst requests at once and
// limit.Rate per limit.Period in the long run: in any interval L at most
// Burst + Rate*L/Period, over all instances together. It does not dial; all mistakes
// are reported at once, as joined [*OptionError].
func New(rdb Client, limit redis_rate.Limit, opts ...Option) (*Limiter, error) {
	l := &Limiter{config: defaults(), limit: limit, script: redis.NewScriptServerSHA(gcraSource)}
	l.name = nameOf(limit)
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&l.config)
		}
	}
	var errs []error
	u, reason := unitsOf(limit)
	if reason != "" {
		errs = append(errs, &OptionError{Option: "limit", Reason: reason})
		if l.name == nameOf(limit) {
			l.name = "unnamed" // one mistake is enough
		}
	}
	hasClient := !bounded.IsNil(rdb)
	errs = append(errs, l.validate(hasClient))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	l.units = u
	l.local = newTable(l.localKeys)
	if hasClient {
		l.redis = bounded.New(rdb)
		if !l.redis.HonorsDeadlines() {
			l.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, each call costs a goroutine meanwhile")
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
	start := time.Now()
	d, err := l.decide(ctx, key, n)
	if err != nil && l.hooks.Failed != nil {
		l.hooks.Failed(ctx, err)
	}
	if l.hooks.Decided != nil {
		l.hooks.Decided(ctx, d, time.Since(start))
	}
	return d, err
}

// Peek reports the state of a key without charging it.
func (l *Limiter) Peek(ctx context.Context, key string) (Decision, error) {
	return l.AllowN(ctx, key, 0)
}

// Reset fills the bucket of a key. It is not for engines, whose keys are their
// own.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	l.local.forget(key)
	if l.redis == nil {
		return fmt.Errorf("ratelimit: reset: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := l.redis.Process(ctx, redis.NewIntCmd(ctx, "del", l.redisKey(key))); err != nil {
		return fmt.Errorf("ratelimit: reset: %w", err)
	}
	return nil
}

func (l *Limiter) decide(ctx context.Context, key string, n int) (Decision, error) {
	ticket, ok := l.breaker.Allow()
	if !ok {
		return l.without(key, n), errUnavailable
	}
	// A client that hangs up must neither abort the count nor count as a
	// failure of Redis: it could open the breaker for everybody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	d, err := l.ask(ctx, key, n)
	switch l.breaker.Report(ticket, breaker.Of(err), err) {
	case breaker.Opened:
		l.logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, limits are decided without it", slog.String("policy", l.name))
	case breaker.Closed:
		l.logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, limits are shared again", slog.String("policy", l.name))
	}
	if err != nil {
		return l.without(key, n), fmt.Errorf("ratelimit: allow: %w", err)
	}
	return d, nil
}

var errUnavailable = errors.New("ratelimit: redis is unavailable, not asked")

func (l *Limiter) ask(ctx context.Context, key string, n int) (Decision, error) {
	if l.engine != nil {
		return l.askEngine(ctx, key, n)
	}
	now := ""
	if l.clock != nil {
		now = fmt.Sprint(l.clock().UnixMicro())
	}
	u := l.units
	cost := int64(min(max(n, -math.MaxInt32), math.MaxInt32))
	if cost > u.burst {
		cost = u.burst + 1 // refused all the same, and exact
	}
	cost = max(cost, -u.burst) // more than full is full
	reply, err := l.script.Run(ctx, l.redis, []string{l.redisKey(key)}, now, u.token, u.drain, u.burst, cost).Int64Slice()
	if err != nil {
		return Decision{}, err
	}
	return l.decode(reply)
}

func (l *Limiter) decode(reply []int64) (Decision, error) {
	if len(reply) != 5 {
		return Decision{}, fmt.Errorf("reply of %d numbers, want 5", len(reply))
	}
	d := Decision{Allowed: reply[0] == 0, Policy: l.name, Limit: l.limit, Remaining: int(max(reply[1], 0)),
		RetryAfter: time.Duration(reply[2]) * time.Microsecond, ResetAfter: time.Duration(reply[3]) * time.Microsecond,
		NextAfter: time.Duration(reply[4]) * time.Microsecond, Source: FromRedis}
	if reply[2] < 0 {
		d.RetryAfter = Never
	}
	return d, nil
}

// redisKey hashes what a client controls, so that its length, its braces and
// its bytes mean nothing. The tag is the client: policies share a slot.
func (l *Limiter) redisKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	var b strings.Builder
	b.WriteString(l.prefix)
	b.WriteString(":v1:")
	b.WriteString(l.name)
	b.WriteString(":{")
	b.WriteString(hex.EncodeToString(sum[:16]))
	b.WriteString("}")
	return b.String()
}
