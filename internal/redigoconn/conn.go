package redigoconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Conn is a virtual redigo connection.
type Conn struct {
	*Dialer
	ctx     context.Context
	queue   []command // sent, not flushed
	replies []any     // flushed, not received
	multi   bool
	tx      []command
	closed  bool

	trackTTL bool
	ttl      time.Duration
	guard    []byte
	expireIn time.Duration
	deleted  int64
}

var (
	_ redis.Conn            = (*Conn)(nil)
	_ redis.ConnWithContext = (*Conn)(nil)
	_ redis.ConnWithTimeout = (*Conn)(nil)

	errClosed    = errors.New("redigopool: connection closed")
	errNoPending = errors.New("redigopool: no reply is pending")
)

type command struct {
	name string // in upper case
	args []any
}

// Bind sets the context of all following commands until Unbind, for callers like
// redisstore that take no context.
func (c *Conn) Bind(ctx context.Context) { c.ctx = ctx }

// Unbind drops the bound context and what Guard, ExpireIn and the last replies
// have set, so that an idle connection keeps no request alive.
func (c *Conn) Unbind() {
	c.ctx, c.ttl, c.guard, c.expireIn, c.deleted = nil, 0, nil, 0, 0
}

// TrackTTL sets whether the key's time to live is read with every single GET, in
// the same round trip. TTL returns it.
func (c *Conn) TrackTTL(on bool) { c.trackTTL, c.ttl = on, 0 }

// TTL returns the time to live of the key of the last GET. It is negative if the
// key has none or does not exist.
func (c *Conn) TTL() time.Duration { return c.ttl }

func (c *Conn) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}

// Close ends this connection and nothing else.
func (c *Conn) Close() error {
	if c.closed {
		return errClosed
	}
	*c = Conn{Dialer: c.Dialer, closed: true}
	return nil
}

// Err is nil until Close: a virtual connection does not break.
func (c *Conn) Err() error {
	if c.closed {
		return errClosed
	}
	return nil
}

// Send queues a command.
func (c *Conn) Send(name string, args ...any) error {
	if c.closed {
		return errClosed
	}
	cmd := command{name: strings.ToUpper(name), args: normalise(args)}
	if err := c.refuse(cmd); err != nil {
		return err
	}
	c.queue = append(c.queue, cmd)
	return nil
}

// Flush sends the queued commands.
func (c *Conn) Flush() error { return c.flush(c.context()) }

// Receive returns the oldest reply not yet received.
func (c *Conn) Receive() (any, error) { return c.ReceiveContext(c.context()) }

// ReceiveContext is Receive bounded by ctx.
func (c *Conn) ReceiveContext(ctx context.Context) (any, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	if len(c.replies) == 0 {
		return nil, errNoPending
	}
	reply := c.replies[0]
	c.replies = c.replies[1:]
	return failed(reply)
}

// ReceiveWithTimeout is Receive bounded by a timeout, 0 for none.
func (c *Conn) ReceiveWithTimeout(timeout time.Duration) (any, error) {
	ctx, cancel := c.timeout(timeout)
	defer cancel()
	return c.ReceiveContext(ctx)
}

// Do sends a command and returns its reply, after the replies of all queued
// commands; the first error among them is returned. Do("") returns those
// replies.
func (c *Conn) Do(name string, args ...any) (any, error) {
	return c.DoContext(c.context(), name, args...)
}

// DoWithTimeout is Do bounded by a timeout, 0 for none.
func (c *Conn) DoWithTimeout(timeout time.Duration, name string, args ...any) (any, error) {
	ctx, cancel := c.timeout(timeout)
	defer cancel()
	return c.DoContext(ctx, name, args...)
}

// DoContext is Do bounded by ctx.
func (c *Conn) DoContext(ctx context.Context, name string, args ...any) (any, error) {
	if c.closed {
		return nil, errClosed
	}
	if name == "" && len(c.queue) == 0 && len(c.replies) == 0 {
		return nil, nil // sent by redigo's pool when a connection is returned: no round trip
	}
	if name != "" {
		if err := c.Send(name, args...); err != nil {
			return nil, err
		}
	}
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	replies := c.replies
	c.replies = nil
	if name == "" {
		return replies, nil
	}
	var err error
	for _, reply := range replies {
		if _, e := failed(reply); e != nil && err == nil {
			err = e
		}
	}
	last := replies[len(replies)-1]
	if f, ok := last.(failure); ok {
		last = f.reply
	}
	return last, err // as redigo: an error is the reply as well
}

func (c *Conn) timeout(d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return c.context(), func() {}
	}
	return context.WithTimeout(c.context(), d)
}

// failure is a reply of EXEC whose element is an error: redigo callers look
// only at the error of EXEC.
type failure struct {
	reply any
	err   error
}

// refusal is the failure of a transaction that Redis refuses, in its own words.
func refusal(err error) failure {
	err = wrapped("EXEC", err)
	return failure{reply: []any{err}, err: err}
}

func failed(reply any) (any, error) {
	switch r := reply.(type) {
	case redis.Error:
		return nil, r
	case failure:
		return r.reply, r.err
	}
	return reply, nil
}

// wrapped returns Redis' own errors in redigo's type. Other errors keep their
// cause for errors.Is, and match unavailable.Err if they mean an outage.
func wrapped(name string, err error) error {
	if server, ok := errors.AsType[goredis.Error](err); ok {
		return redis.Error(server.Error())
	}
	return fmt.Errorf("redigopool: %s: %w", strings.ToLower(name), unavailable.Wrap(err))
}
