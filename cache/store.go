package cache

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// found is what a look-up brings. It is shared by the requests that asked
// together and not changed.
type found struct {
	place
	names   []string // headers that select among variants
	variant string
	inc     string // of the log: what is stored later must carry them,
	seq     int64  // for a purge in between must win
	entry   *entry // nil if there is none that counts; it may be stale
	elapsed time.Duration
	soft    bool   // purged softly: stale, whatever it says
	lease   string // that this look-up took, "" for none
	// hitForMiss says that nothing is stored for requests of this class, so they
	// need not wait for each other.
	hitForMiss bool
	large      bool // the body was too large to be stored
	// hitForMissLeft is what is left of the mark that says so.
	hitForMissLeft time.Duration
	reason         forwardReason // for which it is no hit
}

// age is by Redis' clock alone: what is left of the life it was stored for.
func (f *found) age() time.Duration { return f.entry.age + f.elapsed }

// left is the freshness that is left, negative for a stale entry.
func (f *found) left() time.Duration {
	left := f.entry.Fresh - f.elapsed
	if f.soft {
		return min(left, -time.Millisecond)
	}
	return left
}

func (f *found) fresh() bool { return f.entry != nil && f.left() > 0 }

// pipeline runs one round trip; absent keys are no error. The commands are
// made here and only sent under the bound: a call that is left behind must not
// read what the request goes on with.
func (c *Cache) pipeline(ctx context.Context, fn func(redis.Pipeliner)) error {
	return c.pipelineBut(ctx, func(redis.Cmder) bool { return false }, fn)
}

// pipelineBut is pipeline, but some commands may fail.
func (c *Cache) pipelineBut(ctx context.Context, may func(redis.Cmder) bool, fn func(redis.Pipeliner)) error {
	p := c.rdb.Pipeline()
	fn(p)
	return c.caller.Do(ctx, func(ctx context.Context) error {
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
