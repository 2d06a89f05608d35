package store

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// scripted is pipeline with calls of a script before the other commands. Its
// replies are integers. A server that does not know the script gets its text,
// and then all is asked once more: calls must bear that.
func (s *Store) scripted(ctx context.Context, sc *script, calls []scriptCall, fn func(redis.Pipeliner)) ([][]int64, error) {
	if len(calls) == 0 {
		return nil, s.pipeline(ctx, fn)
	}
	say := make([]*redis.Cmd, len(calls))
	hash := sc.hash.Load()
	if hash != nil {
		err := s.pipelineBut(ctx, unknownScript, func(p redis.Pipeliner) {
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
		err := s.pipeline(ctx, func(p redis.Pipeliner) {
			for i, call := range calls {
				say[i] = p.Eval(ctx, sc.source, call.keys, call.args...)
			}
			learnt = p.Eval(ctx, hashSource, calls[0].keys[:1], sc.source)
			fn(p)
		})
		if err != nil {
			return nil, err
		}
		if text, err := learnt.Text(); err == nil {
			sc.hash.Store(&text)
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

// run is one call of a script by itself.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) ([]int64, error) {
	if hash := sc.hash.Load(); hash != nil {
		cmd := s.caller.EvalSha(ctx, *hash, keys, args...)
		if !unknownScript(cmd) {
			return cmd.Int64Slice()
		}
	}
	say, err := s.caller.Eval(ctx, sc.source, keys, args...).Int64Slice()
	if err == nil {
		s.learn(ctx, sc, keys[0])
	}
	return say, err
}

// learn asks the server of a key for the hash of a script.
func (s *Store) learn(ctx context.Context, sc *script, key string) {
	if hash, err := s.caller.Eval(ctx, hashSource, []string{key}, sc.source).Text(); err == nil {
		sc.hash.Store(&hash)
	}
}
