package ratelimit

import (
	"context"
	"embed"
	"fmt"
	"regexp"
	"strconv"
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
	//go:embed together.lua
	togetherSource string
	//go:embed cell_field.lua
	cellFieldSource string
	//go:embed renew_field.lua
	renewFieldSource string
	//go:embed leave_field.lua
	leaveFieldSource string
	//go:embed reset_fields.lua
	resetFieldsSource string
	//go:embed block_*.lua clock.lua bucket_*.lua window_*.lua fields_write.lua
	parts embed.FS
)

// includeForm matches the line of a script that names a file to include.
var includeForm = regexp.MustCompile(`(?m)^ *-- include (\w+\.lua)\n`)

// script returns a script that runs by hash, with the files that it includes.
func script(source string) *redis.Script {
	return redis.NewScriptServerSHA(includeForm.ReplaceAllStringFunc(source, func(line string) string {
		part, _ := parts.ReadFile(includeForm.FindStringSubmatch(line)[1])
		return string(part)
	}))
}

// scripts run the limiter's scripts: each is one round trip.
type scripts struct {
	caller *bounded.Caller
	clock  func() time.Time // nil for the server's

	decide, cell, renew                                *redis.Script // a key for each policy
	together, cellField, renewField, leaveField, reset *redis.Script // a key for the client
}

// newScripts returns the scripts of a client. They run by hash; the first run on a
// node loads them.
func newScripts(caller *bounded.Caller, clock func() time.Time) *scripts {
	return &scripts{
		caller: caller, clock: clock,
		decide: script(decideSource), cell: script(cellSource), renew: script(renewSource),
		together: script(togetherSource), cellField: script(cellFieldSource), renewField: script(renewFieldSource),
		leaveField: script(leaveFieldSource), reset: script(resetFieldsSource),
	}
}

// run decides a request, with cell.lua if that is enough, else with decide.lua or
// together.lua.
func (s *scripts) run(ctx context.Context, q request) (Decision, error) {
	if p := q.set.single(); p != nil && q.mode == charge {
		return s.runCell(ctx, q, p)
	}
	run, args := s.decide, make([]any, 2, 2+6*len(q.set.all))
	if q.set.together {
		run = s.together
	}
	args[0], args[1] = s.now(), string(q.mode)
	for i := range q.set.all {
		p := &q.set.all[i]
		args = append(args, p.args[:]...)
		if p.kind == concurrency && q.mode != block {
			args = append(args, q.place)
		} else {
			args = append(args, strconv.FormatInt(q.costOf(p), 10))
		}
		if q.set.together {
			args = append(args, p.Name)
		}
	}
	reply, err := s.caller.IntsBy(ctx, s.sender(q), run, q.redisKeys, args...)
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
	run, args := s.cell, []any{s.now(), p.cell[0], p.cell[1], p.cell[2], need, nil, nil}[:5]
	if q.set.together {
		run, args = s.cellField, append(args, p.Name)
	}
	if q.count > 1 {
		args = append(args, q.count)
	}
	reply, err := s.caller.IntsBy(ctx, s.sender(q), run, q.redisKeys, args...)
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
