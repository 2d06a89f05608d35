package connect

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

// circuit is the circuit breaker of one node of a cluster, or of the one server
// of the other topologies. It is a hook of go-redis. Everything that uses the
// connection shares it, so one caller's failures spare the others their timeout.
type circuit struct {
	breaker.Breaker
	conn *Conn
	addr string // "" but on a cluster
}

// probing is the key of a context value that marks the calls of Ready, Health and
// Nodes. An open breaker lets them through, and a reply to them closes it.
type probing struct{}

// DialHook passes dials on: a failed dial is the failure of the call that needs
// it.
func (c *circuit) DialHook(next redis.DialHook) redis.DialHook {
	return next
}

// ProcessHook asks the breaker before a call and tells it the outcome.
func (c *circuit) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if handshake(cmd) {
			return next(ctx, cmd)
		}
		ticket, ok := c.allow(ctx)
		if !ok {
			return c.refusal()
		}
		err := next(ctx, cmd)
		c.report(ctx, ticket, err)
		return err
	}
}

// ProcessPipelineHook does the same for a pipeline, whose outcome is one.
func (c *circuit) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && handshake(cmds[0]) {
			return next(ctx, cmds)
		}
		ticket, ok := c.allow(ctx)
		if !ok {
			return failAll(cmds, c.conn.explain(c.refusal()))
		}
		err := next(ctx, cmds)
		// Reading the error of a command in an automatic batch is expensive, so
		// only the last one is read: when a pipeline to one node breaks, all
		// commands after the break fail.
		worst := err
		if n := len(cmds); err != nil && n > 0 && !unreachable(err) {
			worst = cmds[n-1].Err()
		}
		switch {
		case unreachable(worst):
			for _, cmd := range cmds {
				// Not replies such as MOVED, which go-redis has yet to follow.
				if err := cmd.Err(); !passing(err) {
					cmd.SetErr(c.conn.explain(err))
				}
			}
		case err != nil && err != redis.Nil && bounded.Unmarked(cmds): //nolint:errorlint // the usual answer is identical
			_ = failAll(cmds, err)
		}
		c.report(ctx, ticket, worst)
		return err
	}
}

// refusal is the error of a call that the breaker rejects now.
func (c *circuit) refusal() error { return &refusal{c.addr, c.Err()} }

// allow reports whether a call may pass. A probe always may.
func (c *circuit) allow(ctx context.Context) (breaker.Ticket, bool) {
	ticket, ok := c.Allow()
	if ok || ctx.Value(probing{}) != nil {
		return ticket, true
	}
	c.conn.refused(c)
	c.conn.pauseBatching()
	return ticket, false
}

// report tells the breaker how a call ended, and the log when that opened or closed
// it.
func (c *circuit) report(ctx context.Context, t breaker.Ticket, err error) {
	o := outcome(err, t.Took())
	if o == breaker.Failed {
		c.conn.pauseBatching()
	}
	switch c.Report(t, o, err) {
	case breaker.Opened:
		c.conn.logger.LogAttrs(ctx, slog.LevelWarn, "redis does not answer, calls fail at once until it does",
			slog.String("conn", c.conn.name), slog.String("addr", c.addr), slog.String("cause", err.Error()))
	case breaker.None: // nothing for an operator to know
	case breaker.Closed:
		c.conn.logger.LogAttrs(ctx, slog.LevelInfo, "redis answers again",
			slog.String("conn", c.conn.name), slog.String("addr", c.addr))
	}
}

// outcome is [breaker.Of] with one more failure: sentinels that know no master.
func outcome(err error, took time.Duration) breaker.Outcome {
	if errors.Is(err, errNoMaster) {
		return breaker.Failed
	}
	return breaker.Of(err, took)
}

// newCircuit makes the breaker of a node. When there are many, it drops those that
// are closed: nodes of a cluster come and go, and their addresses with them.
func (c *Conn) newCircuit(addr string) *circuit {
	b := &circuit{conn: c, addr: addr}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.circuits) >= 256 {
		for addr, old := range c.circuits {
			if !old.Open() {
				delete(c.circuits, addr)
			}
		}
	}
	c.circuits[addr] = b
	return b
}

// circuitOf returns the breaker of a node, or nil.
func (c *Conn) circuitOf(addr string) *circuit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.circuits[addr]
}

// batchingPause is how long nothing is batched on a cluster after a node did not
// answer: a batch waits for the slowest node that it has commands for.
const batchingPause = time.Second

// pauseBatching has the calls of a cluster sent one by one for a while.
func (c *Conn) pauseBatching() { c.pausedUntil.Store(int64(time.Since(started) + batchingPause)) }

// isBatchingPaused reports whether less than batchingPause has passed.
func (c *Conn) isBatchingPaused() bool {
	until := c.pausedUntil.Load()
	return until != 0 && int64(time.Since(started)) < until
}
