package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// ifeq makes the servers of a client such that have SET … IFEQ, or lack it, whichever
// the tests run on: where they lack it a script of one key does the same there. It counts
// what is sent.
type ifeq struct {
	lacks atomic.Bool
	has   func() bool  // the servers themselves
	after func() error // for what comes after a swap was executed, such as the loss of its reply

	mu   sync.Mutex
	sent []string // commands, "swap" for SET … IFEQ
}

// withIFEQ adds the hook to a client. The lock that was taken first says what the
// servers can do.
func withIFEQ(t *testing.T, rdb redis.UniversalClient, has bool) *ifeq {
	t.Helper()
	own := rdb
	h := &ifeq{has: sync.OnceValue(func() bool {
		ctx := context.WithValue(context.Background(), directKey{}, true)
		return errors.Is(own.Do(ctx, "set", "no such key", "", "px", 1, "ifeq", "x").Err(), redis.Nil)
	})}
	h.lacks.Store(!has)
	rdb.AddHook(h)
	return h
}

// directKey marks a command that the hook leaves alone.
type directKey struct{}

// syntaxError is how servers reject a SET … IFEQ that they do not know.
type syntaxError struct{}

func (syntaxError) Error() string { return "ERR syntax error" }
func (syntaxError) RedisError()   {}

// take returns what was sent since the last call.
func (h *ifeq) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	sent := strings.Join(h.sent, " ")
	h.sent = nil
	return sent
}

func (*ifeq) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *ifeq) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	const swap = `if redis.call('GET', KEYS[1]) ~= ARGV[3] then return false end return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`
	return func(ctx context.Context, cmd redis.Cmder) error {
		args, name := cmd.Args(), cmd.Name()
		is := name == "set" && len(args) == 7 && args[5] == "IFEQ"
		if is {
			name = "swap"
		}
		switch name {
		case "hello", "auth", "client", "select", "readonly", "cluster", "command": // of connections
			return next(ctx, cmd)
		}
		if ctx.Value(directKey{}) == nil {
			h.mu.Lock()
			h.sent = append(h.sent, name)
			h.mu.Unlock()
		}
		var err error
		switch {
		case !is:
			return next(ctx, cmd)
		case h.lacks.Load():
			err = syntaxError{}
		case h.has():
			err = next(ctx, cmd)
		default:
			eval := redis.NewCmd(ctx, "eval", swap, 1, args[1], args[2], args[4], args[6])
			eval.SetFirstKeyPos(3)
			err = next(ctx, eval)
		}
		if h.after != nil {
			err = errors.Join(err, h.after())
		}
		cmd.SetErr(err)
		return err
	}
}

func (*ifeq) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// eachIFEQ runs a test against servers with SET … IFEQ and without.
func eachIFEQ(t *testing.T, fn func(t *testing.T, has bool)) {
	t.Helper()
	for _, has := range []bool{true, false} {
		t.Run(fmt.Sprintf("ifeq=%t", has), func(t *testing.T) { fn(t, has) })
	}
}

// What the hook does in place of servers is what they do.
func TestTheHookIsLikeTheServers(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		h := withIFEQ(t, rdb, true)
		redistest.NoErrors(t, rdb.Set(t.Context(), key, "a", 0).Err())
		if err := rdb.Do(t.Context(), "set", key, "b", "PX", 60_000, "IFEQ", "x").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("another value: %v", err)
		}
		if err := rdb.Do(t.Context(), "set", key, "b", "PX", 60_000, "IFEQ", "a").Err(); err != nil {
			t.Errorf("the value: %v", err)
		}
		if v, ttl := rdb.Get(t.Context(), key).Val(), rdb.PTTL(t.Context(), key).Val(); v != "b" || ttl <= 0 {
			t.Errorf("got %q for %v", v, ttl)
		}
		h.lacks.Store(true)
		if err := rdb.Do(t.Context(), "set", key, "c", "PX", 60_000, "IFEQ", "b").Err(); !redis.HasErrorPrefix(err, "syntax error") {
			t.Errorf("a server that lacks it: %v", err)
		}
		if got := h.take(); got != "set swap swap get pttl swap" {
			t.Errorf("sent: %s", got)
		}
	})
}
