package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// pipeline runs one round trip; absent keys are no error. The commands are
// made here and only sent under the bound: a call that is left behind must not
// read what the request goes on with.
func (s *Store) pipeline(ctx context.Context, fn func(redis.Pipeliner)) error {
	return s.pipelineBut(ctx, func(redis.Cmder) bool { return false }, fn)
}

// pipelineBut is pipeline, but some commands may fail.
func (s *Store) pipelineBut(ctx context.Context, may func(redis.Cmder) bool, fn func(redis.Pipeliner)) error {
	return bounded.WhileMoving(ctx, func() error { return s.sendOnce(ctx, may, fn) })
}

func (s *Store) sendOnce(ctx context.Context, may func(redis.Cmder) bool, fn func(redis.Pipeliner)) error {
	p := s.rdb.Pipeline()
	fn(p)
	return s.caller.Do(ctx, func(ctx context.Context) error {
		cmds, err := p.Exec(ctx)
		failed := false
		for _, cmd := range cmds {
			switch e := cmd.Err(); {
			case e == nil || errors.Is(e, redis.Nil):
			case may(cmd):
				failed = true
			default:
				return e
			}
		}
		if failed || errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
}
