package otelconnect

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// scrubber takes the arguments out of Redis' "unknown command" error, before
// the tracer sees it.
type scrubber struct{}

func (scrubber) DialHook(next redis.DialHook) redis.DialHook { return next }

func (scrubber) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if clean, ok := scrub(err); ok {
			cmd.SetErr(clean)
			return clean
		}
		return err
	}
}

func (scrubber) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		clean, ok := scrub(err)
		if !ok {
			return err
		}
		for _, cmd := range cmds {
			if clean, ok := scrub(cmd.Err()); ok {
				cmd.SetErr(clean)
			}
		}
		return clean
	}
}

// scrubbed is an error of Redis without what a client sent.
type scrubbed string

func (e scrubbed) Error() string { return string(e) }

// RedisError makes it a [redis.Error].
func (scrubbed) RedisError() {}

// scrub returns the error without arguments, ok is false if it has none.
func scrub(err error) (clean scrubbed, ok bool) {
	var answer redis.Error
	if err == nil || !errors.As(err, &answer) {
		return "", false
	}
	before, _, found := strings.Cut(answer.Error(), ", with args beginning with:")
	if !found {
		return "", false
	}
	return scrubbed(before), true
}
