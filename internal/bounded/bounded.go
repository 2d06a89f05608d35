// Package bounded makes Redis calls that end when their context does and that
// are never sent twice by the client.
//
// Two habits of go-redis stand against a middleware that counts or locks. It
// ignores a context's deadline on the socket unless
// [redis.Options.ContextTimeoutEnabled] is set, so a hung server holds a
// request for the read timeout (5 s by default). And it sends a command again
// after a network error, though the server may have executed it already: one
// INCR became four. Package connect turns both off; this package holds the
// promise for every other client a user may bring.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/rights"
)

// Client is what a [Caller] needs of a go-redis client. *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it.
type Client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
}

// IsNil reports whether v is nil, or an interface that holds a nil pointer or
// function, as a client that was declared and never made does.
func IsNil(v any) bool {
	value := reflect.ValueOf(v)
	switch value.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Interface, reflect.Slice, reflect.UnsafePointer:
		return value.IsNil()
	default:
		return false
	}
}

// Unwrap returns the go-redis client inside a client that wraps one, like that
// of connect's Batched; rdb itself otherwise.
func Unwrap(rdb any) any {
	for range 8 { // a wrapper of a wrapper, but none of itself
		w, ok := rdb.(interface{ Unwrap() redis.UniversalClient })
		if !ok {
			break
		}
		rdb = w.Unwrap()
	}
	return rdb
}

// ErrAbandoned is part of the error of a call that was left behind because its
// context ended first. Redis may still execute it.
var ErrAbandoned = errors.New("redis did not answer in time")

// Caller sends commands to one client. It implements [redis.Scripter], so
// [redis.Script.Run] takes it. It is safe for concurrent use.
type Caller struct {
	rdb         Client
	honors      bool
	idle        sync.Pool // of pipelines that are empty
	rights      *rights.Watch
	withoutIFEQ atomic.Int64 // until when SET … IFEQ is not tried, ns since 1970; 0: it is
}

var _ redis.Scripter = (*Caller)(nil)

// New returns a Caller for rdb. It does not dial.
func New(rdb Client) *Caller {
	return &Caller{rdb: rdb, honors: honorsDeadlines(rdb)}
}

// Watch has the caller log rights that the user of Redis lacks, and what else
// Redis refuses. It warns at once of a client that ignores deadlines.
func (c *Caller) Watch(logger *slog.Logger) *Caller {
	if !c.honors {
		logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, or each call costs a goroutine")
	}
	c.rights = rights.NewWatch(logger)
	return c
}

// HonorsDeadlines reports whether the client itself ends a call when the
// context does. It is false also for a client whose options cannot be seen;
// then each call costs a goroutine.
func (c *Caller) HonorsDeadlines() bool { return c.honors }

func honorsDeadlines(rdb Client) bool {
	switch c := Unwrap(rdb).(type) {
	case interface{ Options() *redis.Options }:
		return c.Options().ContextTimeoutEnabled
	case interface{ Options() *redis.ClusterOptions }:
		return c.Options().ContextTimeoutEnabled
	case interface{ Options() *redis.RingOptions }:
		return c.Options().ContextTimeoutEnabled
	}
	return false
}

// Do calls fn and returns when fn does or when ctx ends, whichever is first.
// In the second case the error matches [ErrAbandoned] and the cause of ctx, fn
// goes on in its goroutine, and nothing that fn writes may be read.
func (c *Caller) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if c.honors || ctx.Done() == nil {
		err := fn(ctx)
		c.rights.See(ctx, err)
		return err
	}
	done := make(chan error, 1) // buffered: a late reply must not keep the goroutine
	go func() { done <- fn(ctx) }()
	select {
	case err := <-done:
		c.rights.See(ctx, err)
		return err
	case <-ctx.Done():
		return errors.Join(ErrAbandoned, context.Cause(ctx))
	}
}

// Process sends cmd. After an error that matches [ErrAbandoned] cmd must not
// be touched any more.
func (c *Caller) Process(ctx context.Context, cmd redis.Cmder) error {
	return c.Do(ctx, func(ctx context.Context) error { return c.rdb.Process(ctx, cmd) })
}

// Eval is EVAL, sent once.
func (c *Caller) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "eval", script, keys, args)
}

// EvalSha is EVALSHA, sent once.
func (c *Caller) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "evalsha", sha1, keys, args)
}

// EvalRO is EVAL_RO, sent once.
func (c *Caller) EvalRO(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "eval_ro", script, keys, args)
}

// EvalShaRO is EVALSHA_RO, sent once.
func (c *Caller) EvalShaRO(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "evalsha_ro", sha1, keys, args)
}

// ScriptExists is SCRIPT EXISTS.
func (c *Caller) ScriptExists(ctx context.Context, hashes ...string) *redis.BoolSliceCmd {
	cmd, err := await(ctx, c, func(ctx context.Context) *redis.BoolSliceCmd { return c.rdb.ScriptExists(ctx, hashes...) })
	if cmd == nil {
		cmd = redis.NewBoolSliceCmd(ctx, "script", "exists")
		cmd.SetErr(err)
	}
	return cmd
}

// ScriptLoad is SCRIPT LOAD, on every master of a cluster.
func (c *Caller) ScriptLoad(ctx context.Context, script string) *redis.StringCmd {
	cmd, err := await(ctx, c, func(ctx context.Context) *redis.StringCmd { return c.rdb.ScriptLoad(ctx, script) })
	if cmd == nil {
		cmd = redis.NewStringCmd(ctx, "script", "load")
		cmd.SetErr(err)
	}
	return cmd
}

// await runs a method that makes its own command. The command comes over a
// channel, for a call that was left behind must not write where the caller
// reads; it is nil then.
func await[T redis.Cmder](ctx context.Context, c *Caller, fn func(ctx context.Context) T) (T, error) {
	made := make(chan T, 1)
	var none T
	err := c.Do(ctx, func(ctx context.Context) error {
		cmd := fn(ctx)
		made <- cmd
		return cmd.Err()
	})
	if errors.Is(err, ErrAbandoned) {
		return none, err
	}
	select {
	case cmd := <-made:
		return cmd, err
	default: // ctx had ended before
		return none, err
	}
}

// Ints runs a script whose reply is a list of integers, sent once and in one
// round trip when the server knows the script. All keys are in one slot.
func (c *Caller) Ints(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]int64, error) {
	return c.IntsBy(ctx, nil, script, keys, args...)
}

// Sender sends a command, as [Client.Process] does, and others with it. After an
// error that matches [ErrAbandoned] the command must not be touched.
type Sender func(ctx context.Context, cmd redis.Cmder) error

// IntsBy is [Caller.Ints] whose first command goes over send, nil for the client.
func (c *Caller) IntsBy(ctx context.Context, send Sender, script *redis.Script, keys []string, args ...any) ([]int64, error) {
	hash := c.Hash(ctx, script, keys)
	if hash == "" {
		return script.Eval(ctx, c, keys, args...).Int64Slice()
	}
	cmd := redis.NewIntSliceCmd(ctx, ScriptArgs("evalsha", hash, keys, args)...)
	cmd.SetFirstKeyPos(3)
	var err error
	switch {
	case send != nil:
		err = send(ctx, onceInts{cmd})
		c.rights.See(ctx, err)
	case c.honors: // without a closure: this is the hot path of the limiter
		err = c.rdb.Process(ctx, onceInts{cmd})
		c.rights.See(ctx, err)
	default:
		err = c.Process(ctx, onceInts{cmd})
	}
	switch {
	case err == nil:
		return cmd.Val(), nil
	case redis.HasErrorPrefix(err, "TRYAGAIN"):
		return c.Run(ctx, script, keys, args...).Int64Slice()
	case redis.HasErrorPrefix(err, "NOSCRIPT"):
		return c.again(ctx, script, keys, args).Int64Slice()
	}
	return nil, fmt.Errorf("evalsha: %w", err)
}

// ScriptArgs are the words of EVAL and its kin, of which name is one.
func ScriptArgs(name any, script string, keys []string, args []any) []any {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, script, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	return append(all, args...)
}

// Unmarked reports whether no command has an error although their pipeline has
// one: no connection came about, as with a wrong password. go-redis leaves the
// commands empty then.
func Unmarked(cmds []redis.Cmder) bool {
	return !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Err() != nil })
}

func (c *Caller) once(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, ScriptArgs(name, script, keys, args)...)
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(3) // else a cluster client routes by the script's name
	}
	err := c.Do(ctx, func(ctx context.Context) error {
		return WhileMoving(ctx, func() error { return c.rdb.Process(ctx, onceCmd{cmd}) })
	})
	if errors.Is(err, ErrAbandoned) || (err != nil && cmd.Err() == nil) {
		// The late reply may still be written to cmd: hand out another one.
		left := redis.NewCmd(ctx, name)
		left.SetErr(fmt.Errorf("%s: %w", name, err))
		return left
	}
	return cmd
}
