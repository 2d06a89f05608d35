package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// UnavailableError says why Redis does not serve: what the call returned and,
// because go-redis hides it behind "context deadline exceeded", why the last
// dial failed. It matches [ErrUnavailable] and both causes. Find it with
// [errors.As], for logs and pages of operators: it names the server, so do not
// send its text to clients.
type UnavailableError struct {
	// Conn is the name of the connection.
	Conn string
	// Addr is the node of a cluster whose breaker rejected the call, "" otherwise.
	Addr string
	// Err is the error of the call, or of the breaker that rejected it.
	Err error
	// LastDial is the error of the last dial, nil if it succeeded.
	LastDial error
	// Hint says what to check, "" if waiting may help.
	Hint string
}

// Error names the connection, the node if it is known, the causes and the hint.
func (e *UnavailableError) Error() string {
	at := ""
	if e.Addr != "" {
		at = " at " + e.Addr
	}
	s := fmt.Sprintf("connect: %s: redis%s is unavailable: %v", e.Conn, at, e.Err)
	if e.LastDial != nil && !errors.Is(e.Err, e.LastDial) {
		s += fmt.Sprintf(" (last dial: %v)", e.LastDial)
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap returns [ErrUnavailable] and the causes.
func (e *UnavailableError) Unwrap() []error {
	if e.LastDial == nil {
		return []error{ErrUnavailable, e.Err}
	}
	return []error{ErrUnavailable, e.Err, e.LastDial}
}

// explain turns an error that means Redis cannot be used now into an
// UnavailableError. It returns all others as they are.
func (c *Conn) explain(err error) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // the usual replies, and only they are identical
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
		return &UnavailableError{Conn: c.name, Addr: refused.addr, Err: refused.cause, LastDial: c.dials.lastError()}
	case errors.Is(err, redis.ErrPoolTimeout):
		s := c.client.PoolStats()
		hint := fmt.Sprintf("%d of %d connections are in use, the pool has %d for each node", s.TotalConns-s.IdleConns, s.TotalConns, c.config.PoolSize)
		return &UnavailableError{Conn: c.name, Err: err, Hint: hint}
	case passing(err):
		return &UnavailableError{Conn: c.name, Err: err}
	case unreachable(err):
		return c.unavailable(err)
	}
	return err
}

// unavailable is err with the cause of the last dial.
func (c *Conn) unavailable(err error) *UnavailableError {
	return &UnavailableError{Conn: c.name, Err: err, LastDial: c.dials.lastError()}
}

// unreachable reports whether err means that Redis did not answer.
func unreachable(err error) bool {
	return unavailable.Unreachable(err) || errors.Is(err, errNoMaster)
}

// passing reports whether Redis answered that it cannot serve now. NOSCRIPT and
// EXECABORT are about the call: the caller loads the script, or mends its
// transaction.
func passing(err error) bool {
	return unavailable.Passing(err) && !redis.HasErrorPrefix(err, "NOSCRIPT") && !redis.HasErrorPrefix(err, "EXECABORT")
}

// refusal is the error of a call that an open breaker rejected. On a cluster it
// passes through go-redis, which must not take the cause inside for an error of
// its own and retry. Therefore it hides the cause; the gate turns it into an
// UnavailableError.
type refusal struct {
	addr  string // of the node, "" but on a cluster
	cause error
}

func (e *refusal) Error() string { return "connect: " + breaker.ErrOpen.Error() }

// closedError matches both our ErrClosed and go-redis'.
type closedError struct{ conn string }

// Error names the connection.
func (e *closedError) Error() string { return "connect: " + e.conn + ": closed" }

func (e *closedError) Is(target error) bool { return target == ErrClosed || target == redis.ErrClosed }

// errClosed is the error of calls after the start of Close.
func (c *Conn) errClosed() error { return &closedError{c.name} }

// abandoned is the error of a batched call that its context ended. The command
// belongs to the batch.
type abandoned struct {
	cause  error
	shared bool // with other calls, so that it is not a failure of its own
}

func (e *abandoned) Error() string { return "connect: " + e.cause.Error() }

// Is reports whether time ran out, which means that Redis cannot be used; a
// caller that gave up says nothing about Redis.
func (e *abandoned) Is(target error) bool {
	return target == ErrUnavailable && errors.Is(e.cause, context.DeadlineExceeded)
}

// Unwrap returns the cause, and what the breakers of the limiter and the locks need
// to know: that the call may have been executed, and that it shared its batch with
// others, whose delay is for the connection's breakers to judge.
func (e *abandoned) Unwrap() []error {
	if e.shared {
		return []error{bounded.ErrAbandoned, breaker.ErrShared, e.cause}
	}
	return []error{bounded.ErrAbandoned, e.cause}
}
