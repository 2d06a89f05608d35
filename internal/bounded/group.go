package bounded

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Batcher is a client that sends the commands of one request together with those
// of others, like that of connect's Batched.
//
// ProcessAll sends cmds, each once, and waits. Those for one node are sent in their
// order, with no other command of the group left behind: they share one batch. It
// returns nil when each command has its reply or an error of its own, also if that
// is the same for all because Redis did not answer. It returns an error when ctx
// ended first; the commands must not be touched any more then, and the error matches
// [ErrAbandoned] if they may be executed.
type Batcher interface {
	ProcessAll(ctx context.Context, cmds ...redis.Cmder) error
}

// ProcessAll sends the commands of one request, each once, in one round trip to each
// node that has a key of theirs: in a batch with those of other requests if the
// client is a [Batcher], as a pipeline of their own otherwise. All nodes are asked
// at the same time; commands for one node keep their order.
//
// It returns nil when each command has its outcome, which is its own: read the error
// of each. NOSCRIPT, TRYAGAIN, OOM and the like fail one command and no other; a
// caller that mends such a failure sends that command alone. Redirects of a cluster
// are followed. It returns an error when ctx ended before there were outcomes: the
// commands must not be touched any more then, and the error matches [ErrAbandoned]
// if they may have been sent.
//
// Commands that block, and transactions, are not for it.
func (c *Caller) ProcessAll(ctx context.Context, cmds ...redis.Cmder) error {
	sent := c.allOnce(cmds)
	var err error
	if c.honors && ctx.Err() == nil { // without a closure: this is the hot path of a chain
		err = c.sendAll(ctx, sent)
	} else {
		err = c.Do(ctx, func(ctx context.Context) error { return c.sendAll(ctx, sent) })
	}
	if err != nil || c.rights == nil {
		return err
	}
	for _, cmd := range cmds {
		c.rights.See(ctx, cmd.Err())
	}
	return nil
}

// allOnce returns cmds so that none is sent again. Of a pipeline it is enough that
// one is not: go-redis repeats all or none.
func (c *Caller) allOnce(cmds []redis.Cmder) []redis.Cmder {
	if _, batches := c.rdb.(Batcher); !batches && len(cmds) > 1 && cmds[0].NoRetry() {
		return cmds
	}
	sent := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		sent[i], _ = Once(cmd)
	}
	return sent
}

// sendAll sends cmds in the best way that the client has. An error of one that
// go-redis leaves out of the command is set here.
func (c *Caller) sendAll(ctx context.Context, cmds []redis.Cmder) error {
	batcher, batches := c.rdb.(Batcher)
	piper, pipes := c.rdb.(interface{ Pipeline() redis.Pipeliner })
	switch {
	case batches:
		return batcher.ProcessAll(ctx, cmds...)
	case pipes && len(cmds) > 1:
		pipe, again := c.idle.Get().(redis.Pipeliner)
		if !again {
			pipe = piper.Pipeline()
		}
		Exec(ctx, pipe, cmds)
		if _, known := pipe.(*redis.Pipeline); known { // it is empty now; another kind may not be
			c.idle.Put(pipe)
		}
	default:
		for _, cmd := range cmds {
			if err := c.rdb.Process(ctx, cmd); cmd.Err() == nil {
				cmd.SetErr(err)
			}
		}
	}
	return nil
}

// Exec sends cmds over an empty pipeline. Each has its outcome then, see [Unmarked].
func Exec(ctx context.Context, pipe redis.Pipeliner, cmds []redis.Cmder) {
	_ = pipe.BatchProcess(ctx, cmds...) // queued
	if _, err := pipe.Exec(ctx); err != nil && Unmarked(cmds) {
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
	}
}
