package connect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// gate is the outermost of our hooks. It counts the calls in flight, so that
// Close can wait for them, refuses calls after Close, and makes of a failure
// an [*UnavailableError] that names the cause.
type gate struct {
	conn    *Conn
	state   atomic.Int64 // calls in flight, plus shut once Close was called
	once    sync.Once
	drained chan struct{}
}

const shut = 1 << 62

func newGate(c *Conn) *gate { return &gate{conn: c, drained: make(chan struct{})} }

func (g *gate) enter() bool {
	if g.state.Add(1) < shut {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == shut {
		g.once.Do(func() { close(g.drained) })
	}
}

// shut refuses new calls; drained is closed when those in flight have ended.
func (g *gate) shut() {
	g.state.Add(shut + 1)
	g.leave()
}

func (g *gate) inFlight() int64 { return g.state.Load() &^ shut }

func (g *gate) DialHook(next redis.DialHook) redis.DialHook {
	return next
}

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if handshake(cmd) { // part of a call that was let in
			return next(ctx, cmd)
		}
		if !g.enter() {
			return g.conn.errClosed()
		}
		defer g.leave()
		return g.conn.explain(next(ctx, cmd))
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && handshake(cmds[0]) {
			return next(ctx, cmds)
		}
		if !g.enter() {
			return failAll(cmds, g.conn.errClosed())
		}
		defer g.leave()
		return g.conn.explain(next(ctx, cmds)) // the breaker does the same for each command
	}
}

// failAll is how a hook refuses a pipeline: go-redis looks at each command.
func failAll(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}

// handshake reports whether go-redis sends cmd on its own while it sets up a
// connection, inside the call that needs it. Its outcome is that of the call.
func handshake(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "client", "select", "readonly":
		return true
	}
	return false
}

// explain makes an UnavailableError of a failure to reach Redis.
func (c *Conn) explain(err error) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // the usual answers, and only they are identical
		return err
	}
	var (
		already *UnavailableError
		refused *refusal
	)
	switch {
	case errors.As(err, &already):
		return err
	case errors.Is(err, redis.ErrClosed):
		return c.errClosed()
	case errors.As(err, &refused):
		return &UnavailableError{Conn: c.name, Addr: refused.circuit.addr, Err: refused.circuit.Err(), LastDial: c.dials.lastError()}
	case errors.Is(err, redis.ErrPoolTimeout):
		s := c.client.PoolStats()
		hint := fmt.Sprintf("%d of %d connections are in use, the pool has %d for each node", s.TotalConns-s.IdleConns, s.TotalConns, c.config.PoolSize)
		return &UnavailableError{Conn: c.name, Err: err, Hint: hint}
	case unreachable(err):
		return c.unavailable(err)
	}
	return err
}

// unavailable is err with what the last dial said.
func (c *Conn) unavailable(err error) *UnavailableError {
	return &UnavailableError{Conn: c.name, Err: err, LastDial: c.dials.lastError()}
}

// unreachable reports whether err means that Redis did not answer.
func unreachable(err error) bool {
	return unavailable.Unreachable(err) || errors.Is(err, errNoMaster)
}

// closedError matches both our ErrClosed and go-redis'.
type closedError struct{ conn string }

func (e *closedError) Error() string { return "connect: " + e.conn + ": closed" }

func (e *closedError) Is(target error) bool { return target == ErrClosed || target == redis.ErrClosed }

func (c *Conn) errClosed() error { return &closedError{c.name} }
