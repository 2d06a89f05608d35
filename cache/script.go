package cache

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// script is a Lua script. Its hash is what a server says: under FIPS 140-3 there
// is no SHA-1 in the process. It is asked for together with the first call, by the
// key of that, and not with SCRIPT LOAD, which a cluster client sends to all
// nodes, so that one that hangs, and be it a replica, would hold up each new process.
type script struct {
	source string
	hash   atomic.Pointer[string]
}

const hashSource = "return redis.sha1hex(ARGV[1])"

// scriptCall is one call of a script; all keys are in one slot.
type scriptCall struct {
	keys []string
	args []any
}

// scripted is pipeline with calls of a script before the other commands. Its
// replies are integers. A server that does not know the script gets its text,
// and then all is asked once more: calls must bear that.
func (c *Cache) scripted(ctx context.Context, s *script, calls []scriptCall, fn func(redis.Pipeliner)) ([][]int64, error) {
	if len(calls) == 0 {
		return nil, c.pipeline(ctx, fn)
	}
	say := make([]*redis.Cmd, len(calls))
	hash := s.hash.Load()
	if hash != nil {
		err := c.pipelineBut(ctx, unknownScript, func(p redis.Pipeliner) {
			for i, call := range calls {
				say[i] = p.EvalSha(ctx, *hash, call.keys, call.args...)
			}
			fn(p)
		})
		if err != nil {
			return nil, err
		}
	}
	if hash == nil || slices.ContainsFunc(say, func(cmd *redis.Cmd) bool { return unknownScript(cmd) }) {
		var learnt *redis.Cmd
		err := c.pipeline(ctx, func(p redis.Pipeliner) {
			for i, call := range calls {
				say[i] = p.Eval(ctx, s.source, call.keys, call.args...)
			}
			learnt = p.Eval(ctx, hashSource, calls[0].keys[:1], s.source)
			fn(p)
		})
		if err != nil {
			return nil, err
		}
		if text, err := learnt.Text(); err == nil {
			s.hash.Store(&text)
		}
	}
	replies := make([][]int64, len(say))
	for i, cmd := range say {
		var err error
		if replies[i], err = cmd.Int64Slice(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

func unknownScript(cmd redis.Cmder) bool { return redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") }

// run is one call of a script by itself.
func (c *Cache) run(ctx context.Context, s *script, keys []string, args ...any) ([]int64, error) {
	if hash := s.hash.Load(); hash != nil {
		cmd := c.caller.EvalSha(ctx, *hash, keys, args...)
		if !unknownScript(cmd) {
			return cmd.Int64Slice()
		}
	}
	say, err := c.caller.Eval(ctx, s.source, keys, args...).Int64Slice()
	if err == nil {
		c.learn(ctx, s, keys[0])
	}
	return say, err
}

// learn asks the server of a key for the hash of a script.
func (c *Cache) learn(ctx context.Context, s *script, key string) {
	if hash, err := c.caller.Eval(ctx, hashSource, []string{key}, s.source).Text(); err == nil {
		s.hash.Store(&hash)
	}
}

// nudgeEvery is how often, at most.
const nudgeEvery = 500 * time.Millisecond

// nudge has a cluster client learn of a failover, after a purge that failed: that
// is not reported to the breakers, which do so for look-ups. go-redis (9.23) loads the
// slots again when a node redirects, and once a minute; a master that is dead
// redirects nothing.
func (c *Cache) nudge(ctx context.Context) {
	cluster, ok := bounded.Unwrap(c.rdb).(interface{ ReloadState(context.Context) })
	if !ok {
		return
	}
	last, now := c.nudged.Load(), int64(time.Since(c.begun))
	if (last == 0 || now-last >= int64(nudgeEvery)) && c.nudged.CompareAndSwap(last, now) {
		cluster.ReloadState(ctx) // in the background
	}
}
