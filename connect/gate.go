package connect

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// gate is the outermost of our hooks. It counts the calls in flight, so that
// Close can wait for them, rejects calls after Close, and turns failures into
// [*UnavailableError]s that name the cause.
type gate struct {
	conn    *Conn
	state   atomic.Int64 // calls in flight, plus shut once Close was called
	once    sync.Once
	drained chan struct{}
}

// shut is added to the gate's state when it closes. It is far above any number of
// calls, so one atomic addition both counts a call and tells whether it may pass.
const shut = 1 << 62

// newGate returns an open gate.
func newGate(c *Conn) *gate { return &gate{conn: c, drained: make(chan struct{})} }

// enter counts a call and reports whether it may pass; then leave must follow.
func (g *gate) enter() bool {
	if g.state.Add(1) < shut {
		return true
	}
	g.leave()
	return false
}

// leave counts a call out. The last one after shut closes drained.
func (g *gate) leave() {
	if g.state.Add(-1) == shut {
		g.once.Do(func() { close(g.drained) })
	}
}

// shut rejects new calls; drained is closed when those in flight have ended.
func (g *gate) shut() {
	g.state.Add(shut + 1)
	g.leave()
}

// inFlight is the number of calls that have entered and not left.
func (g *gate) inFlight() int64 { return g.state.Load() &^ shut }

// DialHook passes dials on: they belong to a call that has entered.
func (g *gate) DialHook(next redis.DialHook) redis.DialHook {
	return next
}

// ProcessHook counts a call, or rejects it after Close, and explains its error.
func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if handshake(cmd) { // part of a call that has entered
			return next(ctx, cmd)
		}
		if !g.enter() {
			return g.conn.errClosed()
		}
		defer g.leave()
		return g.conn.explain(next(ctx, cmd))
	}
}

// ProcessPipelineHook does the same for a pipeline, which is one call.
func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && handshake(cmds[0]) {
			return next(ctx, cmds)
		}
		if !g.enter() {
			return failAll(cmds, g.conn.errClosed())
		}
		defer g.leave()
		err := next(ctx, cmds) // the breaker has explained each command that was not answered
		if passing(err) {
			for _, cmd := range cmds {
				cmd.SetErr(g.conn.explain(cmd.Err()))
			}
		}
		return g.conn.explain(err)
	}
}

// failAll rejects a pipeline in a hook: go-redis reads the error of each command.
func failAll(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}

// handshake reports whether go-redis itself sends cmd while it opens a
// connection, inside the call that needs one. The call's outcome includes it.
func handshake(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "client", "select", "readonly":
		return true
	}
	return false
}
