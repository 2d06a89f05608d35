package redigoconn

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
)

//go:embed guarded.lua
var guardedSource string

// ErrGone is returned by a guarded commit of a key that no longer exists.
// Nothing was written.
var ErrGone = errors.New("redigopool: the key no longer exists")

// ConflictError is returned by a guarded commit of a key whose value is no
// longer the one that was read. Nothing was written.
type ConflictError struct {
	Current []byte // the value that the key has
}

func (e *ConflictError) Error() string { return "redigopool: the value has changed" }

var errNotGuarded = errors.New("redigopool: a guard is set, but this is not MULTI, SET, PEXPIREAT, EXEC of one key")

// Guard makes the next transaction conditional: MULTI, SET k v, PEXPIREAT k t,
// EXEC, as redisstore commits, writes only if k still has the value that was
// read. Otherwise EXEC fails with [ErrGone] or a [*ConflictError]. Any other
// transaction fails while a guard is set, so that a redisstore that commits in
// another way cannot bypass it. Guard(nil) and Unbind remove the guard.
func (c *Conn) Guard(read []byte) { c.guard = read }

// ExpireIn sets the time to live that commits of redisstore (MULTI, SET k v,
// PEXPIREAT k t, EXEC) give the key in place of the time t: the key then expires
// by Redis' clock, however wrong this machine's is. A Dialer that keeps
// transactions sends t all the same, and so does a transaction of another form.
// ExpireIn(0) and Unbind end it.
func (c *Conn) ExpireIn(life time.Duration) { c.expireIn = life }

// expiry returns the option of SET that sets the expiry, and its argument.
func (c *Conn) expiry(at any) (word string, n any) {
	if c.expireIn > 0 {
		return "PX", max(c.expireIn.Milliseconds(), 1)
	}
	return "PXAT", at
}

// Deleted returns how many keys the last DEL removed.
func (c *Conn) Deleted() int64 { return c.deleted }

// guarded runs a transaction on the condition that the guard sets, in one round
// trip.
func (c *Conn) guarded(ctx context.Context, tx []command) (any, error) {
	set, ok := c.collapse(tx)
	if !ok {
		return nil, errNotGuarded
	}
	switch done, err := c.setIfEqual(ctx, set); {
	case err != nil:
		return nil, wrapped("EXEC", err)
	case done:
		return []any{"OK", int64(1)}, nil
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
		return refusal(err), nil
	}
	return nil, wrapped("EXEC", err)
}

// setIfEqual writes by SET … IFEQ, which spares the server the script and Lua both
// values. It reports false where the server did not write: the script then finds out
// why.
func (c *Conn) setIfEqual(ctx context.Context, set command) (done bool, err error) {
	done, err = c.caller.SetIfEqual(ctx, bounded.Swap{Key: text(set.args[0]), Old: c.guard, New: set.args[1], Expiry: text(set.args[2]), At: set.args[3]})
	if err != nil && !errors.Is(err, bounded.ErrNoIFEQ) && !fromServer(err) {
		return false, err
	}
	return done, nil
}
