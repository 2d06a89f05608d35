package connect

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// batched is the client of [Conn.Batched]. All use of go-redis' automatic
// pipelining, which it calls experimental, is in this file.
type batched struct {
	redis.UniversalClient // the connection's own; Close does nothing
	conn                  *Conn
	above                 int64
	inFlight              atomic.Int64
	queued                atomic.Int64
	queue                 *redis.AutoPipeliner // nil when batching is off
	circuit               *circuit             // nil on a cluster, and for a client of the user's
}

var (
	_ redis.UniversalClient = (*batched)(nil)
	_ bounded.Client        = (*batched)(nil)
	_ bounded.Batcher       = (*batched)(nil)
)

// Batched returns the connection's client with automatic pipelining under load:
// calls go to Redis one by one while at most [Config.BatchAbove] are in flight,
// so a single caller pays nothing; further ones are sent together. Use it for a
// limiter or a cache with many concurrent requests. Each call ends when its own
// context does. A call that was abandoned may still be executed, but no command
// is ever sent twice.
//
// It can replace [Conn.Client] everywhere; every call returns the same client.
// Scripts, Get, Set, Del of one key, Incr, HGetAll, Publish, Do and Process are
// batched. All other methods go to the client directly, among them pipelines
// and Subscribe. Its Close does nothing: [Conn.Close] closes the connection.
//
// A node that hangs delays the batch that has its commands, for up to the read
// timeout. Therefore nothing is batched on a cluster for one second after a
// batched call ran out of time or a node did not answer.
func (c *Conn) Batched() redis.UniversalClient {
	c.batching.Do(func() { c.makeBatched(true) })
	return c.batched.Load()
}

// makeBatched makes the client of Batched. Without a queue it never batches: Close
// makes it that way, so that a later call of Batched finds it closed.
func (c *Conn) makeBatched(queue bool) {
	b := &batched{UniversalClient: c.client, conn: c, above: int64(c.config.BatchAbove), circuit: c.circuitOf("")}
	c.batched.Store(b)
	if !queue || b.above < 0 {
		return
	}
	var err error
	if b.queue, err = c.client.AsyncAutoPipeline(); err != nil {
		b.queue = nil
		c.logger.Warn("commands are not batched", slog.String("conn", c.name), slog.String("cause", err.Error()))
	}
}

// flush sends the queued calls, waits for their replies, and rejects later ones.
func (b *batched) flush() {
	if b.queue != nil {
		_ = b.queue.Close()
	}
}

// Process sends cmd, in a batch if enough calls are in flight. When ctx ends first,
// the error matches its cause and cmd must not be read: the batch may still write
// to it.
func (b *batched) Process(ctx context.Context, cmd redis.Cmder) error {
	n := b.inFlight.Add(1)
	defer b.inFlight.Add(-1)
	sent, known := bounded.Once(cmd)
	fits := batchable(cmd)
	if b.conn.config.Retries == 0 || !fits {
		sent = cmd
	}
	if n <= b.above/2 || n <= b.above && b.queued.Load() == 0 || b.queue == nil || !known || !fits || b.isPaused() {
		return b.UniversalClient.Process(ctx, sent)
	}
	if err := ctx.Err(); err != nil {
		err = b.conn.explain(err)
		cmd.SetErr(err)
		return err
	}
	b.conn.batchedCount.Add(1)
	b.queued.Add(1)
	defer b.queued.Add(-1)
	err := b.queue.Submit(ctx, sent).WaitContext(ctx)
	switch {
	case err == nil, err == redis.Nil: //nolint:errorlint // the usual replies, and only they are identical
		return err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		shared := b.conn.config.Mode == Cluster
		if shared && errors.Is(err, context.DeadlineExceeded) {
			b.conn.pauseBatching()
		}
		return &abandoned{context.Cause(ctx), shared}
	case errors.Is(err, redis.ErrClosed), passing(err):
		err = b.conn.explain(err)
		cmd.SetErr(err)
	}
	return err
}

// ProcessAll sends the commands of one request as a pipeline, see [bounded.Batcher].
func (b *batched) ProcessAll(ctx context.Context, cmds ...redis.Cmder) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	sent := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		sent[i], _ = bounded.Once(cmd)
	}
	bounded.Exec(ctx, b.UniversalClient.Pipeline(), sent)
	return nil
}

// isPaused reports whether calls are sent one by one for now. With an open breaker
// they fail at once that way, without waiting for a batch.
func (b *batched) isPaused() bool {
	if b.circuit != nil {
		return b.circuit.Open()
	}
	return b.conn.isBatchingPaused()
}

// batchable reports whether cmd has one reply from one node. go-redis itself keeps
// commands that block, or that change a connection, out of its batches.
func batchable(cmd redis.Cmder) bool {
	name := cmd.Name()
	return !spread[name] || name == "del" && len(cmd.Args()) == 2
}

// process is Process for the commands made here. After a call that was abandoned it
// returns another command with the error, because the batch may still write to
// the first one.
func process[C redis.Cmder](ctx context.Context, b *batched, cmd C, other func(context.Context, ...any) C) C {
	err := b.Process(ctx, cmd)
	if errors.Is(err, bounded.ErrAbandoned) {
		cmd = other(ctx, cmd.Name())
		cmd.SetErr(err)
	}
	return cmd
}

// script sends a script or its hash. The position of its first key routes it on a
// cluster.
func (b *batched) script(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, bounded.ScriptArgs(name, script, keys, args)...)
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(3)
	}
	return process(ctx, b, cmd, redis.NewCmd)
}

// Eval is EVAL. This method and those below are the ones that the middlewares
// call: each makes its command here, so that it can be sent in a batch.
func (b *batched) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return b.script(ctx, "eval", script, keys, args)
}

// EvalSha is EVALSHA.
func (b *batched) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return b.script(ctx, "evalsha", sha1, keys, args)
}

// EvalRO is EVAL_RO.
func (b *batched) EvalRO(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return b.script(ctx, "eval_ro", script, keys, args)
}

// EvalShaRO is EVALSHA_RO.
func (b *batched) EvalShaRO(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return b.script(ctx, "evalsha_ro", sha1, keys, args)
}

// Do sends any command.
func (b *batched) Do(ctx context.Context, args ...any) *redis.Cmd {
	return process(ctx, b, redis.NewCmd(ctx, args...), redis.NewCmd)
}

// Get is GET.
func (b *batched) Get(ctx context.Context, key string) *redis.StringCmd {
	return process(ctx, b, redis.NewStringCmd(ctx, "get", key), redis.NewStringCmd)
}

// Set is SET, see [redis.Client.Set].
func (b *batched) Set(ctx context.Context, key string, value any, expiration time.Duration) *redis.StatusCmd {
	cmd := b.Pipeline().Set(ctx, key, value, expiration) // go-redis builds the command, the pipeline is dropped
	return process(ctx, b, cmd, redis.NewStatusCmd)
}

// Del is DEL.
func (b *batched) Del(ctx context.Context, keys ...string) *redis.IntCmd {
	if len(keys) != 1 {
		return b.UniversalClient.Del(ctx, keys...)
	}
	cmd := redis.NewIntCmd(ctx, "del", keys[0])
	return process(ctx, b, cmd, redis.NewIntCmd)
}

// Incr is INCR.
func (b *batched) Incr(ctx context.Context, key string) *redis.IntCmd {
	return process(ctx, b, redis.NewIntCmd(ctx, "incr", key), redis.NewIntCmd)
}

// HGetAll is HGETALL.
func (b *batched) HGetAll(ctx context.Context, key string) *redis.MapStringStringCmd {
	return process(ctx, b, redis.NewMapStringStringCmd(ctx, "hgetall", key), redis.NewMapStringStringCmd)
}

// Publish is PUBLISH.
func (b *batched) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	return process(ctx, b, redis.NewIntCmd(ctx, "publish", channel, message), redis.NewIntCmd)
}

// Unwrap returns the client without batching, so that its options can be read.
func (b *batched) Unwrap() redis.UniversalClient { return b.UniversalClient }

// Close does nothing: [Conn.Close] closes the connection.
func (b *batched) Close() error { return nil }
