package connect

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// batched is the client of [Conn.Batched].
type batched struct {
	redis.UniversalClient // the connection's own; Close does nothing
	conn                  *Conn
	above                 int64
	inFlight              atomic.Int64
	queued                atomic.Int64
	lanes                 *lanes   // nil when batching is off
	circuit               *circuit // nil on a cluster, and for a client of the user's
}

var (
	_ redis.UniversalClient = (*batched)(nil)
	_ bounded.Client        = (*batched)(nil)
	_ bounded.Batcher       = (*batched)(nil)
)

// Batched returns the connection's client with batching under load: calls go to
// Redis one by one while at most [Config.BatchAbove] are in flight, so a single
// caller pays nothing; further ones are sent together, those for each node of a
// cluster by themselves. Use it for a limiter, sessions or a cache with many
// concurrent requests. Each call ends when its own context does. A call that was
// abandoned may still be executed, but no command is ever sent twice, whatever
// [WithRetries] says.
//
// It can replace [Conn.Client] everywhere; every call returns the same client.
// Scripts, Get, Set, Del of one key, Incr, HGetAll, Publish, Do and Process are
// batched, for commands of one key whose arguments are strings, bytes, numbers and
// times. All other methods and commands go to the client directly, among them
// pipelines, transactions, commands that block, and Subscribe. The middlewares of
// this module send the commands of a request as a group, which joins a batch as a
// whole. Its Close does nothing: [Conn.Close] closes the connection.
//
// Up to two batches for a node are under way, so calls of different callers are not
// executed in the order of their beginning; those of one caller are, because each
// waits for its reply. A node that hangs delays the calls for its keys alone.
func (c *Conn) Batched() redis.UniversalClient {
	c.batching.Do(func() { c.makeBatched(true) })
	return c.batched.Load()
}

// makeBatched makes the client of Batched. Without a queue it never batches: Close
// makes it that way, so that a later call of Batched finds it closed.
func (c *Conn) makeBatched(queue bool) {
	b := &batched{UniversalClient: c.client, conn: c, above: int64(c.config.BatchAbove), circuit: c.circuitOf("")}
	if queue && b.above >= 0 {
		b.lanes = &lanes{conn: c, busy: map[*redis.Client]*lane{}}
	}
	c.batched.Store(b)
}

// flush sends the queued calls, waits for their replies until ctx ends, and rejects
// later ones.
func (b *batched) flush(ctx context.Context) {
	if b.lanes != nil {
		b.lanes.close(ctx)
	}
}

// Process sends cmd, in a batch if enough calls are in flight. When ctx ends first,
// the error matches its cause and cmd must not be read: the batch may still write
// to it.
func (b *batched) Process(ctx context.Context, cmd redis.Cmder) error {
	n := b.inFlight.Add(1)
	defer b.inFlight.Add(-1)
	bytes, fits := 0, false
	if b.isBusy(n) && batchable(cmd) {
		bytes, fits = weight(cmd)
	}
	if !fits {
		return b.UniversalClient.Process(ctx, b.single(cmd))
	}
	node := b.nodeOf(ctx, cmd)
	if b.isPaused(node) {
		return b.UniversalClient.Process(ctx, b.single(cmd))
	}
	if err := ctx.Err(); err != nil {
		err = b.conn.explain(err)
		cmd.SetErr(err)
		return err
	}
	once, _ := bounded.Once(cmd)
	t, ok := b.lanes.join(ctx, node, bytes, once)
	if !ok {
		err := b.conn.errClosed()
		cmd.SetErr(err)
		return err
	}
	b.count(1)
	defer b.queued.Add(-1)
	select {
	case <-t.batch.done:
		return b.outcome(cmd)
	case <-ctx.Done():
		b.lanes.leave(t)
		return b.abandon(ctx, node)
	}
}

// isBusy reports whether the nth call in flight is to be batched.
func (b *batched) isBusy(n int64) bool {
	return n > b.above/2 && (n > b.above || b.queued.Load() > 0) && b.lanes != nil
}

// isPaused reports whether calls for a node are sent one by one for now. With an open
// breaker they fail at once that way, without waiting for a batch.
func (b *batched) isPaused(node *redis.Client) bool {
	if b.circuit != nil {
		return b.circuit.Open()
	}
	return b.isShared(node) && b.conn.isBatchingPaused()
}

// isShared reports whether the batches of a lane have calls for several nodes: those
// without a key, and all while the cluster's nodes are not known.
func (b *batched) isShared(node *redis.Client) bool {
	return node == nil && b.conn.config.Mode == Cluster
}

// single is cmd as it is sent by itself: once, unless go-redis sends it to several
// nodes, where it must find the command's own type.
func (b *batched) single(cmd redis.Cmder) redis.Cmder {
	if b.conn.config.Retries == 0 || spread[cmd.Name()] && !batchable(cmd) {
		return cmd
	}
	once, _ := bounded.Once(cmd)
	return once
}

// nodeOf is the client of the node that cmd will go to. It is nil if there is but one
// server, and where the cluster is not known. The cluster's client routes each command
// of a batch, so a node that was the right one a moment ago does no harm.
func (b *batched) nodeOf(ctx context.Context, cmd redis.Cmder) *redis.Client {
	if b.conn.config.Mode != Cluster {
		return nil
	}
	key := firstKey(cmd)
	if key == "" {
		return nil
	}
	node, _ := bounded.NodeOf(ctx, b.UniversalClient, key)
	return node
}

// count counts commands that are queued.
func (b *batched) count(n int) {
	b.conn.batchedCount.Add(int64(n))
	b.queued.Add(int64(n))
}

// abandon is the error of a call whose context ended in a batch of a node. One late
// batch would count as many failures, so on a cluster it is left to the connection's
// breakers, for which a batch is one call. A client of the user's has none.
func (b *batched) abandon(ctx context.Context, node *redis.Client) error {
	if b.isShared(node) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		b.conn.pauseBatching()
	}
	shared := b.isShared(node) || b.conn.config.Mode == Cluster && !b.conn.foreign
	return &abandoned{context.Cause(ctx), shared}
}

// outcome is the error of a command that was in a batch.
func (b *batched) outcome(cmd redis.Cmder) error {
	err := cmd.Err()
	if err == nil || err == redis.Nil { //nolint:errorlint // the usual replies, and only they are identical
		return err
	}
	if errors.Is(err, redis.ErrClosed) || passing(err) {
		err = b.conn.explain(err)
		cmd.SetErr(err)
	}
	return err
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
