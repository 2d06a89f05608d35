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

// decide decides a request and calls the hooks. While Redis is unavailable, the
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

// decision decides from the deny cache if it can, else with a call that many
// requests share, else with a call of its own.
func (l *Limiter) decision(ctx context.Context, q request) (Decision, error) {
	if q.at == 0 {
		q = l.lookup(q)
	}
	if q.refusal != nil {
		return q.refusal.decision(q.cost, q.at), nil
	}
	// A refund ends a refusal on this instance at once.
	if q.cost < 0 {
		l.denied.forget(q.denyKey)
	}
	if l.batches != nil && q.cost == 1 && q.mode == charge && q.set.single() != nil {
		return l.decideShared(ctx, q)
	}
	return l.call(ctx, q)
}

// decideShared decides a request of cost 1 against one bucket, in a batch if
// many requests for its key are in flight.
func (l *Limiter) decideShared(ctx context.Context, q request) (Decision, error) {
	s := l.batches.shard(q.denyKey)
	w := s.enter(q.denyKey)
	if w == nil {
		defer s.leave(q.denyKey)
		return l.call(ctx, q)
	}
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	var out outcome
	select {
	case out = <-w.done:
	case <-timer.C:
		if s.giveUp(q.denyKey, w) {
			return l.fallbackDecision(q), errNotCalled
		}
		out = <-w.done // its batch has begun
	}
	if out.batch == nil {
		return out.decision, out.err
	}
	defer s.leave(q.denyKey)
	return l.decideBatch(ctx, q, out.batch)
}

// decideBatch decides a batch with one call and sends each waiter its outcome. The
// first request is the caller's.
func (l *Limiter) decideBatch(ctx context.Context, q request, batch []*waiter) (Decision, error) {
	q.at = l.nanos()
	if r := l.denied.holding(q.denyKey, q.cost, q.at); r != nil { // refused by then
		d := r.decision(q.cost, q.at)
		for _, w := range batch[1:] {
			w.done <- outcome{decision: d}
		}
		return d, nil
	}
	q.count = len(batch)
	d, err := l.call(ctx, q)
	outcomes := l.split(q, d, err)
	for i, w := range batch[1:] {
		w.done <- outcomes[i+1]
	}
	return outcomes[0].decision, outcomes[0].err
}

// split turns the decision about a batch into one for each of its requests, as if
// they had been decided one after the other.
func (l *Limiter) split(q request, d Decision, err error) []outcome {
	outcomes := make([]outcome, q.count)
	p := &q.set.all[0]
	for i := range outcomes {
		switch {
		case err != nil && i == 0:
			outcomes[i] = outcome{decision: d, err: err}
		case err != nil:
			outcomes[i] = outcome{decision: l.fallbackDecision(q), err: err}
		case i < d.admitted:
			one := Decision{Allowed: true, Source: d.Source, set: d.set}
			one.State = bucketState(p, p.units, max(0, d.debt-int64(d.admitted-1-i)*p.units.token), 0)
			outcomes[i] = outcome{decision: one}
		default:
			one := d
			one.Allowed, one.RetryAfter = false, d.wait
			outcomes[i] = outcome{decision: one}
		}
	}
	return outcomes
}

// call calls Redis, unless its breaker is open, and remembers a refusal.
func (l *Limiter) call(ctx context.Context, q request) (Decision, error) {
	if l.engine == nil {
		q.redisKeys = l.keysOf(q.set, q.key)
	} else { // the key of redis_rate, for the breaker of its node
		q.redisKeys = []string{"rate:" + q.key}
	}
	ticket, ok := l.nodes.Allow(q.redisKeys[0])
	if !ok {
		return l.fallbackDecision(q), errNotCalled
	}
	// A client that hangs up must neither abort the count nor count as a
	// failure of Redis: it could open the breaker for every client.
	ctx = l.bound.Context(ctx)
	var (
		d   Decision
		err error
	)
	if l.engine == nil {
		d, err = l.scripts.run(ctx, q)
	} else {
		d, err = callEngine(ctx, l.engine, q)
		l.refusals.See(ctx, err)
	}
	l.report(ctx, l.nodes.Report(ticket, err))
	if err != nil {
		l.releaseLost(ctx, q, err)
		return l.fallbackDecision(q), fmt.Errorf("ratelimit: allow: %w", unavailable.Wrap(err))
	}
	if l.denied != nil && q.mode == charge && q.place == "" && q.cost > 0 {
		l.remember(q, d)
	}
	return d, nil
}

// report logs when a node becomes unavailable and when it is back, and calls the
// hook for the first and the last of them.
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

// remember puts a refusal into the deny cache. A request that leaves none
// remaining implies the refusal of the next one.
func (l *Limiter) remember(q request, d Decision) {
	wait := d.RetryAfter
	if d.Allowed && wait > 0 { // the last of a batch were refused
		d.Allowed = false
	}
	if d.Allowed {
		if len(q.set.all) > 1 || q.cost != 1 || d.Remaining > 0 || d.NextAfter <= 0 {
			l.denied.forget(q.denyKey) // its numbers are outdated
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

// fallbackDecision decides without Redis, by the failure mode. It gives nothing
// back, because a charge in Redis was not made here.
func (l *Limiter) fallbackDecision(q request) Decision {
	d := Decision{Allowed: true, Source: fromNowhere, set: q.set}
	d.State = State{Policy: q.set.all[0].Name, Limit: q.set.all[0].Limit.Limit}
	switch l.failureMode {
	case FailClosed:
		// One or two seconds, so that clients do not all return at the same time.
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
