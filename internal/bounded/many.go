package bounded

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"github.com/redis/go-redis/v9"
)

// pipelined returns how a client sends several commands in one round trip, nil if
// it cannot.
func pipelined(rdb Client) func(ctx context.Context, cmds []redis.Cmder) error {
	if IsNil(rdb) {
		return nil
	}
	p, ok := rdb.(interface{ Pipeline() redis.Pipeliner })
	if !ok {
		return nil
	}
	// A pipeline that was sent is empty, and can be used once more. Another client's
	// may not be.
	idle := sync.Pool{New: func() any { return p.Pipeline() }}
	return func(ctx context.Context, cmds []redis.Cmder) error {
		pipe, _ := idle.Get().(redis.Pipeliner)
		if _, known := pipe.(*redis.Pipeline); known {
			defer idle.Put(pipe)
		}
		if err := pipe.BatchProcess(ctx, cmds...); err != nil {
			return err
		}
		_, err := pipe.Exec(ctx)
		return err
	}
}

// All sends commands of one node in one round trip. It returns an error only if
// the commands have none of their own: no connection came about, or the call was
// left behind, see [Caller.Do]. A script among them that is sent once keeps all of
// them from a repetition.
func (c *Caller) All(ctx context.Context, cmds []redis.Cmder) error {
	if len(cmds) == 1 {
		err := c.Process(ctx, cmds[0])
		if cmds[0].Err() != nil && !errors.Is(err, ErrAbandoned) {
			return nil
		}
		return err
	}
	err := c.sendMany(ctx, cmds)
	if err == nil || !errors.Is(err, ErrAbandoned) && !Unmarked(cmds) {
		return nil
	}
	return err
}

func (c *Caller) sendMany(ctx context.Context, cmds []redis.Cmder) error {
	if !c.honors || ctx.Err() != nil {
		return c.Do(ctx, func(ctx context.Context) error { return c.many(ctx, cmds) })
	}
	err := c.many(ctx, cmds) // without a closure: this is the hot path
	c.rights.See(ctx, err)
	return err
}

// Same reports whether two callers have the same client.
func (c *Caller) Same(other *Caller) bool {
	if c == other {
		return true
	}
	t := reflect.TypeOf(c.rdb)
	return t == reflect.TypeOf(other.rdb) && t.Comparable() && c.rdb == other.rdb
}

// Node returns the client of the node that serves key, as [NodeOf] does, but never
// asks Redis. It reports false if the node is not known, or if the client has no
// pipelines.
func (c *Caller) Node(key string) (*redis.Client, bool) {
	if c.many == nil {
		return nil, false
	}
	node, err := NodeOf(dead, c.rdb, key)
	return node, err == nil
}

// dead is a context with which go-redis sends nothing.
var dead = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
