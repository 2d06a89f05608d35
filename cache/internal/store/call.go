package store

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// scriptCall is one call of a script; all keys are in one slot.
type scriptCall struct {
	keys []string
	args []any
}

// scripted is pipeline with calls of a script before the other commands. Its
// replies are integers. A server that does not know the script is given it, and then
// all is sent once more: calls must bear that.
func (s *Store) scripted(ctx context.Context, sc *redis.Script, calls []scriptCall, fn func(redis.Pipeliner)) ([][]int64, error) {
	if len(calls) == 0 {
		return nil, s.pipeline(ctx, fn)
	}
	known := s.caller.Hash(ctx, sc, calls[0].keys) != ""
	for range 2 {
		if !known {
			break
		}
		say, err := s.sendScripts(ctx, calls, sc.EvalSha, fn)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(say, func(cmd *redis.Cmd) bool { return unknownScript(cmd) })
		if i < 0 {
			return integersOf(say)
		}
		known = s.caller.Load(ctx, sc, calls[i].keys)
	}
	say, err := s.sendScripts(ctx, calls, sc.Eval, fn)
	if err != nil {
		return nil, err
	}
	return integersOf(say)
}

// evaluate is [redis.Script.Eval] or [redis.Script.EvalSha].
type evaluate func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (s *Store) sendScripts(ctx context.Context, calls []scriptCall, call evaluate, fn func(redis.Pipeliner)) ([]*redis.Cmd, error) {
	say := make([]*redis.Cmd, len(calls))
	err := s.pipelineBut(ctx, unknownScript, func(p redis.Pipeliner) {
		for i, c := range calls {
			say[i] = call(ctx, p, c.keys, c.args...)
		}
		fn(p)
	})
	return say, err
}

func unknownScript(cmd redis.Cmder) bool { return redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") }

func integersOf(say []*redis.Cmd) ([][]int64, error) {
	replies := make([][]int64, len(say))
	for i, cmd := range say {
		var err error
		if replies[i], err = cmd.Int64Slice(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}
