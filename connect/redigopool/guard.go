package redigopool

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"
)

//go:embed guarded.lua
var guardedSource string

// ErrGone is a guarded commit of a key that no longer exists. Nothing was
// written.
var ErrGone = errors.New("redigopool: the key is gone")

// ConflictError is a guarded commit of a key that has another value by now.
// Nothing was written.
type ConflictError struct{ Current []byte }

func (e *ConflictError) Error() string { return "redigopool: the value was changed meanwhile" }

var errNotGuarded = errors.New("redigopool: a guard is set, but this is not MULTI, SET, PEXPIREAT, EXEC of one key")

// Guard makes the next transaction conditional: MULTI, SET k v, PEXPIREAT k t,
// EXEC, as redisstore commits, writes only if k still has the value that was
// read. Otherwise EXEC fails with [ErrGone] or a [*ConflictError]. Any other
// transaction fails while a guard is set, so that a change in redisstore cannot
// slip past it. nil takes the guard off, and so does Unbind.
func (c *Conn) Guard(read []byte) { c.guard = read }

// ExpireIn has the next transactions as redisstore commits (MULTI, SET k v,
// PEXPIREAT k t, EXEC) give the key this life instead of the time t, so that it
// ends by Redis' clock, however far this machine's is off. A transaction that is
// kept, see [WithTransactionsKept], or has another shape, is sent as it is. 0
// takes it back, and so does Unbind.
func (c *Conn) ExpireIn(life time.Duration) { c.expireIn = life }

// expiry are the words that end SET and their meaning for guarded.lua.
func (c *Conn) expiry(at any) (word string, n any) {
	if c.expireIn > 0 {
		return "PX", max(c.expireIn.Milliseconds(), 1)
	}
	return "PXAT", at
}

// Deleted is the number of keys that the last DEL removed.
func (c *Conn) Deleted() int64 { return c.deleted }

// guarded runs a transaction under the guard, in one round trip.
func (c *Conn) guarded(ctx context.Context, tx []command) (any, error) {
	set, ok := c.collapse(tx)
	if !ok {
		return nil, errNotGuarded
	}
	reply, err := c.caller.Run(ctx, c.guardScript, []string{text(set.args[0])}, c.guard, set.args[1], set.args[3], set.args[2]).Result()
	switch r := reply.(type) {
	case int64:
		if r == 1 {
			return []any{"OK", int64(1)}, nil
		}
		return nil, fmt.Errorf("redigopool: exec: %w", ErrGone)
	case string:
		return nil, &ConflictError{Current: []byte(r)}
	}
	if err == nil {
		err = fmt.Errorf("reply %T", reply)
	}
	if fromServer(err) {
		return failure{reply: []any{redis.Error(err.Error())}, err: redis.Error(err.Error())}, nil
	}
	return nil, wrapped("EXEC", err)
}
