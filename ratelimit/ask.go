package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
)

// The modes of the script.
const (
	take  = "take"
	force = "force"
	block = "block"
)

// question is what is asked of Redis, or of whoever stands in for it.
type question struct {
	set  *policies
	key  string
	cost int64
	mode string
	// count is how many such requests are asked for together, 0 for one.
	count int
	// asked is when the deny cache was asked, in vain; 0 if it was not yet.
	asked int64
	keys  []string // in Redis; those of an engine begin with its own prefix
	hold  string   // id of the place that is asked of a concurrency policy, "" for none
}

// now is the time of the deny cache and the local table.
func (l *Limiter) now() time.Time {
	if l.clock != nil {
		return l.clock()
	}
	return time.Now()
}

var epoch = time.Now()

// nanos are on the monotonic clock, unless a test has its own.
func (l *Limiter) nanos() int64 { return int64(l.now().Sub(epoch)) }

// observed decides and tells the hooks.
func (l *Limiter) observed(ctx context.Context, q question) (Decision, error) {
	if l.hooks.Decided == nil && l.hooks.Failed == nil {
		return l.decide(ctx, q)
	}
	start := time.Now()
	d, err := l.decide(ctx, q)
	if err != nil && l.hooks.Failed != nil {
		l.hooks.Failed(ctx, err)
	}
	if l.hooks.Decided != nil {
		l.hooks.Decided(ctx, d, time.Since(start))
	}
	return d, err
}

func (l *Limiter) denyKey(set *policies, key string) string {
	if set == l.static {
		return key
	}
	return set.id + "\x00" + key
}

func (l *Limiter) decide(ctx context.Context, q question) (Decision, error) {
	asked, denyKey := q.asked, l.denyKey(q.set, q.key)
	if asked == 0 {
		asked = l.nanos()
		if r := l.remembered(q, asked); r != nil {
			return r.at(q.cost, asked), nil
		}
	}
	if q.cost < 0 {
		l.denied.forget(denyKey)
	}
	if l.hot != nil && q.cost == 1 && q.mode == take && len(q.set.all) == 1 && q.set.all[0].kind == cellRate {
		return l.together(ctx, q, denyKey, asked)
	}
	return l.call(ctx, q, denyKey, asked)
}

// remembered is the refusal that still answers a request, nil when Redis must be
// asked. It is looked for once for a request: what it returns may depend on who
// looked before.
func (l *Limiter) remembered(q question, now int64) *refusal {
	if l.denied == nil || q.cost <= 0 || q.mode != take {
		return nil
	}
	return l.denied.find(l.denyKey(q.set, q.key), q.cost, now)
}

// call asks Redis, unless it is known to be away, and remembers what it says.
func (l *Limiter) call(ctx context.Context, q question, denyKey string, asked int64) (Decision, error) {
	if l.engine == nil {
		q.keys = l.redisKeys(q.set, q.key)
	} else { // redis_rate's; of another engine it divides the keys
		q.keys = []string{"rate:" + q.key}
	}
	asks, ok := l.nodes.Allow(q.keys[0])
	if !ok {
		return l.without(q), errUnavailable
	}
	// A client that hangs up must neither abort the count nor count as a
	// failure of Redis: it could open the breaker for everybody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	d, err := l.ask(ctx, q)
	switch e := l.nodes.Report(asks, err); e.Change {
	case breaker.Opened:
		l.changed(ctx, e, "redis is unavailable, limits are decided without it")
	case breaker.Closed:
		l.changed(ctx, e, "redis is back, limits are shared again")
	}
	if err != nil {
		l.lost(ctx, q, err)
		return l.without(q), fmt.Errorf("ratelimit: allow: %w", err)
	}
	if l.denied != nil && q.mode == take && q.hold == "" && q.cost > 0 {
		l.remember(denyKey, q, d, asked)
	}
	return d, nil
}

func (l *Limiter) changed(ctx context.Context, e breaker.Event, text string) {
	level := slog.LevelInfo
	if e.Change == breaker.Opened {
		level = slog.LevelWarn
	}
	l.logger.LogAttrs(ctx, level, text, slog.String("policy", l.static.id), slog.String("addr", e.Addr))
	if l.hooks.Outage != nil && (e.First || e.Last) {
		l.hooks.Outage(ctx, e.First)
	}
}

// remember keeps a refusal, and of a request that took the last the refusal of
// the next.
func (l *Limiter) remember(denyKey string, q question, d Decision, asked int64) {
	wait := d.RetryAfter
	if d.Allowed && wait > 0 { // the last of a batch were refused
		d.Allowed = false
	}
	if d.Allowed {
		if len(q.set.all) > 1 || q.cost != 1 || d.Remaining > 0 || d.NextAfter <= 0 {
			l.denied.forget(denyKey) // what it says is left is no more
			return
		}
		wait = d.NextAfter
		d.Allowed, d.RetryAfter = false, d.NextAfter
	}
	if wait <= 0 {
		return
	}
	r := &refusal{cost: q.cost, asked: asked, notBefore: asked + int64(wait), decision: d}
	if p := &q.set.all[0]; len(q.set.all) == 1 && p.kind == cellRate {
		r.step = q.cost * p.units.token / p.units.drain * int64(time.Microsecond)
	}
	l.denied.put(denyKey, r)
}

var errUnavailable = errors.New("ratelimit: redis is unavailable, not asked")

// ask is the one round trip.
func (l *Limiter) ask(ctx context.Context, q question) (Decision, error) {
	if l.engine != nil {
		return l.askEngine(ctx, q)
	}
	if p := &q.set.all[0]; len(q.set.all) == 1 && p.kind == cellRate && q.mode == take {
		need := p.cell[3]
		if q.cost != 1 {
			need = strconv.FormatInt(clampCost(p, q)*p.units.token, 10)
		}
		args := []any{l.clockArg(), p.cell[0], p.cell[1], p.cell[2], need, nil}[:5]
		if q.count > 1 {
			args = append(args, q.count)
		}
		reply, err := l.redis.Ints(ctx, l.cell, q.keys, args...)
		if err == nil && len(reply) != 4 {
			err = fmt.Errorf("reply of %d numbers, want 4", len(reply))
		}
		if err != nil {
			return Decision{}, err
		}
		d := Decision{Allowed: reply[3] > 0, Source: FromRedis, set: q.set, admitted: int(reply[3]), wait: waiting(reply[0])}
		d.State = bucketOf(p, reply[1], reply[0], reply[2])
		return d, nil
	}
	args := make([]any, 2, 2+5*len(q.set.all))
	args[0], args[1] = l.clockArg(), q.mode
	for i := range q.set.all {
		p := &q.set.all[i]
		args = append(args, p.args[:]...)
		if p.kind == concurrency && q.mode != block {
			args = append(args, q.hold)
		} else {
			args = append(args, costArg(p, q))
		}
	}
	reply, err := l.redis.Ints(ctx, l.script, q.keys, args...)
	if err != nil {
		return Decision{}, err
	}
	return decode(q.set, reply)
}

// clockArg is empty for the server's clock.
func (l *Limiter) clockArg() string {
	if l.clock == nil {
		return ""
	}
	return strconv.FormatInt(l.clock().UnixMicro(), 10)
}

func costArg(p *policy, q question) any {
	if q.cost == 1 {
		return "1"
	}
	return strconv.FormatInt(clampCost(p, q), 10)
}

// clampCost keeps products exact: what is above the burst is refused all the
// same, and more than full is full.
func clampCost(p *policy, q question) int64 {
	if q.mode == block {
		return min(q.cost, exact/4)
	}
	burst := p.units.burst
	if p.kind == window {
		burst = int64(p.Rate)
	}
	if q.mode == force {
		return min(max(q.cost, -burst), burst)
	}
	return min(max(q.cost, -burst), burst+1)
}

func decode(set *policies, reply []int64) (Decision, error) {
	if len(reply) != 1+4*len(set.all) {
		return Decision{}, fmt.Errorf("reply of %d numbers, want %d", len(reply), 1+4*len(set.all))
	}
	d := Decision{Allowed: reply[0] == 0, Source: FromRedis, set: set}
	states := make([]State, len(set.all))
	for i := range set.all {
		states[i] = stateOf(&set.all[i], reply[1+4*i:])
	}
	d.settle(states)
	return d, nil
}

func stateOf(p *policy, reply []int64) State {
	if p.kind == cellRate {
		return bucketOf(p, reply[0], reply[1], reply[2])
	}
	return State{
		Policy: p.Name, Limit: p.Limit.Limit, Remaining: int(max(reply[0], 0)), RetryAfter: waiting(reply[1]),
		ResetAfter: waiting(reply[2]), NextAfter: waiting(reply[3]),
	}
}

func bucketOf(p *policy, debt, retry, blocked int64) State {
	s := bucketState(p, p.units, min(max(debt, 0), p.units.capacity()), waiting(retry))
	if blocked > 0 {
		s.Remaining, s.policy = 0, nil
		s.ResetAfter, s.NextAfter = max(s.ResetAfter, waiting(blocked)), max(s.NextAfter, waiting(blocked))
	}
	return s
}

func waiting(us int64) time.Duration {
	if us < 0 {
		return Never
	}
	return time.Duration(us) * time.Microsecond
}

// redisKeys hash what a client controls, so that its length, its braces and
// its bytes mean nothing. The tag is the client: policies share a slot.
func (l *Limiter) redisKeys(set *policies, key string) []string {
	sum := sha256.Sum256([]byte(key))
	var tag [34]byte
	tag[0], tag[33] = '{', '}'
	hex.Encode(tag[1:33], sum[:16])
	keys := make([]string, len(set.all))
	for i := range set.all {
		keys[i] = l.prefix + ":v1:" + set.all[i].Name + ":" + string(tag[:])
	}
	return keys
}
