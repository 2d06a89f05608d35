package ratelimit

import (
	"context"
	_ "embed" // for the scripts
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
)

// The scripts. Each has a head comment with its KEYS, ARGV and reply.
var (
	//go:embed decide.lua
	decideSource string
	//go:embed cell.lua
	cellSource string
	//go:embed renew.lua
	renewSource string
	//go:embed bucket_read.lua
	bucketRead string
	//go:embed bucket_write.lua
	bucketWrite string
)

// included replaces the include lines of a script with the files that they name.
func included(source string) string {
	return strings.NewReplacer("-- include bucket_read.lua\n", bucketRead, "-- include bucket_write.lua\n", bucketWrite).Replace(source)
}

// scripts run the limiter's scripts: each is one round trip.
type scripts struct {
	caller              *bounded.Caller
	clock               func() time.Time // nil for the server's
	decide, cell, renew *redis.Script
}

// newScripts returns the scripts of a client. They run by hash; the first run on a
// node loads them.
func newScripts(caller *bounded.Caller, clock func() time.Time) *scripts {
	return &scripts{
		caller: caller, clock: clock,
		decide: redis.NewScriptServerSHA(included(decideSource)),
		cell:   redis.NewScriptServerSHA(included(cellSource)),
		renew:  redis.NewScriptServerSHA(renewSource),
	}
}

// run decides a request, with cell.lua if that is enough, else with decide.lua.
func (s *scripts) run(ctx context.Context, q request) (Decision, error) {
	if p := q.set.single(); p != nil && q.mode == charge {
		return s.runCell(ctx, q, p)
	}
	args := make([]any, 2, 2+5*len(q.set.all))
	args[0], args[1] = s.now(), string(q.mode)
	for i := range q.set.all {
		p := &q.set.all[i]
		args = append(args, p.args[:]...)
		if p.kind == concurrency && q.mode != block {
			args = append(args, q.place)
		} else {
			args = append(args, strconv.FormatInt(q.costOf(p), 10))
		}
	}
	reply, err := s.caller.IntsBy(ctx, s.sender(q), s.decide, q.redisKeys, args...)
	if err != nil {
		return Decision{}, err
	}
	return decode(q.set, reply)
}

// runCell decides a request against one bucket, or q.count such requests together.
func (s *scripts) runCell(ctx context.Context, q request, p *policy) (Decision, error) {
	need := p.cell[3]
	if q.cost != 1 {
		need = strconv.FormatInt(q.costOf(p)*p.units.token, 10)
	}
	args := []any{s.now(), p.cell[0], p.cell[1], p.cell[2], need, nil}[:5]
	if q.count > 1 {
		args = append(args, q.count)
	}
	reply, err := s.caller.IntsBy(ctx, s.sender(q), s.cell, q.redisKeys, args...)
	if err == nil && len(reply) != 4 {
		err = fmt.Errorf("reply of %d numbers, want 4", len(reply))
	}
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Allowed: reply[3] > 0, Source: fromRedis, set: q.set, admitted: int(reply[3]), wait: wait(reply[0])}
	d.State = replyState(p, reply[1], reply[0], reply[2])
	return d, nil
}

// sender returns how the first command of a request is sent: with what is
// prefetched, or nil if nothing is.
func (s *scripts) sender(q request) bounded.Sender {
	if q.batch == nil {
		return nil
	}
	return func(ctx context.Context, cmd redis.Cmder) error {
		return q.batch.SendWith(ctx, prefetch.Call{Caller: s.caller, Key: q.redisKeys[0], Command: cmd})
	}
}

// renewPlace renews the lease of a place of a concurrency policy.
func (s *scripts) renewPlace(ctx context.Context, key, place string) error {
	_, err := s.caller.Ints(ctx, s.renew, []string{key}, s.now(), lease.Microseconds(), place)
	return err
}

// now returns the test clock in microseconds, "" for the server's clock.
func (s *scripts) now() string {
	if s.clock == nil {
		return ""
	}
	return strconv.FormatInt(s.clock().UnixMicro(), 10)
}

// decode reads the reply of decide.lua.
func decode(set *policies, reply []int64) (Decision, error) {
	if len(reply) != 1+4*len(set.all) {
		return Decision{}, fmt.Errorf("reply of %d numbers, want %d", len(reply), 1+4*len(set.all))
	}
	d := Decision{Allowed: reply[0] == 0, Source: fromRedis, set: set}
	states := make([]State, len(set.all))
	for i := range set.all {
		p, r := &set.all[i], reply[1+4*i:]
		if p.kind == bucket {
			states[i] = replyState(p, r[0], r[1], r[2])
			continue
		}
		states[i] = State{
			Policy: p.Name, Limit: p.Limit.Limit, Remaining: int(max(r[0], 0)), RetryAfter: wait(r[1]),
			ResetAfter: wait(r[2]), NextAfter: wait(r[3]),
		}
	}
	return d.withStates(states), nil
}

// replyState returns the state of a bucket by the numbers of a script.
func replyState(p *policy, debt, retry, blocked int64) State {
	s := bucketState(p, p.units, min(max(debt, 0), p.units.capacity()), wait(retry))
	if blocked > 0 {
		s.Remaining, s.policy = 0, nil
		s.ResetAfter, s.NextAfter = max(s.ResetAfter, wait(blocked)), max(s.NextAfter, wait(blocked))
	}
	return s
}

// wait converts a duration of a script's reply: microseconds, negative for never.
func wait(micros int64) time.Duration {
	if micros < 0 {
		return never
	}
	return time.Duration(micros) * time.Microsecond
}
