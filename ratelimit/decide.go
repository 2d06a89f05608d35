package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// start is what the monotonic clock is read from.
var start = time.Now()

// now is the time of the deny cache and the local table.
func (l *Limiter) now() time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return time.Now()
}

// nanos are on the monotonic clock, unless a test has its own.
func (l *Limiter) nanos() int64 { return int64(l.now().Sub(start)) }

// decide decides a request and tells the hooks. While Redis is unavailable, the
// decision is that of the failure mode, and the error is that of Redis.
func (l *Limiter) decide(ctx context.Context, q request) (Decision, error) {
	if l.hooks.Decided == nil && l.hooks.Failed == nil {
		return l.decision(ctx, q)
	}
	begun := time.Now()
	d, err := l.decision(ctx, q)
	if err != nil && l.hooks.Failed != nil {
		l.hooks.Failed(ctx, err)
	}
	if l.hooks.Decided != nil {
		l.hooks.Decided(ctx, d, time.Since(begun))
	}
	return d, err
}

// decision is the first of these that can decide: the deny cache, a call that
// many requests share, a call of its own.
func (l *Limiter) decision(ctx context.Context, q request) (Decision, error) {
	if q.at == 0 {
		q = l.lookup(q)
	}
	if q.refusal != nil {
		return q.refusal.decision(q.cost, q.at), nil
	}
	if q.cost < 0 {
		l.denied.forget(q.denyKey)
	}
	if l.batches != nil && q.cost == 1 && q.mode == take && q.set.single() != nil {
		return l.decideShared(ctx, q)
	}
	return l.call(ctx, q)
}

// lookup looks for a refusal that still holds. It is done once for a request:
// what is found may depend on who looked before.
func (l *Limiter) lookup(q request) request {
	q.at, q.denyKey = l.nanos(), l.denyKey(q.set, q.key)
	if l.denied != nil && q.cost > 0 && q.mode == take {
		q.refusal = l.denied.find(q.denyKey, q.cost, q.at)
	}
	return q
}

func (l *Limiter) denyKey(set *policies, key string) string {
	if set == l.static {
		return key
	}
	return set.id + "\x00" + key
}

// call calls Redis, unless it is known to be away, and remembers a refusal.
func (l *Limiter) call(ctx context.Context, q request) (Decision, error) {
	if l.engine == nil {
		q.redisKeys = l.keysOf(q.set, q.key)
	} else { // redis_rate's; of another engine it divides the keys
		q.redisKeys = []string{"rate:" + q.key}
	}
	ticket, ok := l.nodes.Allow(q.redisKeys[0])
	if !ok {
		return l.fallbackDecision(q), errNotAsked
	}
	// A client that hangs up must neither abort the count nor count as a
	// failure of Redis: it could open the breaker for every client.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	var (
		d   Decision
		err error
	)
	if l.engine == nil {
		d, err = l.scripts.run(ctx, q)
	} else {
		d, err = l.callEngine(ctx, q)
	}
	l.report(ctx, l.nodes.Report(ticket, err))
	if err != nil {
		l.releaseLost(ctx, q, err)
		return l.fallbackDecision(q), fmt.Errorf("ratelimit: allow: %w", unavailable.Wrap(err))
	}
	if l.denied != nil && q.mode == take && q.place == "" && q.cost > 0 {
		l.remember(q, d)
	}
	return d, nil
}

// report says when a node becomes unavailable, and when it is back.
func (l *Limiter) report(ctx context.Context, e breaker.Event) {
	level, text := slog.LevelInfo, "redis is back, limits are shared again"
	switch e.Change {
	case breaker.None:
		return
	case breaker.Opened:
		level, text = slog.LevelWarn, "redis is unavailable, limits are decided without it"
	case breaker.Closed:
	}
	l.logger.LogAttrs(ctx, level, text, slog.String("policy", l.static.id), slog.String("addr", e.Addr))
	if l.hooks.Outage != nil && (e.First || e.Last) {
		l.hooks.Outage(ctx, e.First)
	}
}

// remember keeps a refusal, and of a request that took the last the refusal of
// the next.
func (l *Limiter) remember(q request, d Decision) {
	wait := d.RetryAfter
	if d.Allowed && wait > 0 { // the last of a batch were refused
		d.Allowed = false
	}
	if d.Allowed {
		if len(q.set.all) > 1 || q.cost != 1 || d.Remaining > 0 || d.NextAfter <= 0 {
			l.denied.forget(q.denyKey) // what it says is left is no more
			return
		}
		wait = d.NextAfter
		d.Allowed, d.RetryAfter = false, d.NextAfter
	}
	if wait <= 0 {
		return
	}
	r := &refusal{cost: q.cost, at: q.at, notBefore: q.at + int64(wait), last: d}
	if p := q.set.single(); p != nil {
		r.step = q.cost * p.units.token / p.units.drain * int64(time.Microsecond)
	}
	l.denied.put(q.denyKey, r)
}

// fallbackDecision decides without Redis. It gives nothing back: what was
// charged in Redis was not charged here.
func (l *Limiter) fallbackDecision(q request) Decision {
	d := Decision{Allowed: true, Source: FromNowhere, set: q.set}
	d.State = State{Policy: q.set.all[0].Name, Limit: q.set.all[0].Limit.Limit}
	switch l.failureMode {
	case FailClosed:
		// One or two seconds, so that not all come back at once.
		d.Allowed, d.Unavailable, d.RetryAfter = false, true, time.Duration(1+rand.IntN(2))*time.Second
		return d
	case FailOpen:
		d.Remaining = d.Limit.Burst
		return d
	case FailLocal:
	}
	q.cost = max(q.cost, 0)
	return l.local.decide(q, l.now())
}
