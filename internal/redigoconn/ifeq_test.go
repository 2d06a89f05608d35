package redigoconn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Whether a server has SET … IFEQ is found out once: it then takes guarded commits in
// one command, or the script does. The value is the same, and so is its TTL.
func TestIFEQIsFoundOutOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		conn := dialer(t, rdb, false).Conn()
		redistest.NoErrors(t, commit(conn, key, "0", time.Now().Add(time.Hour)))
		count := redistest.Count(rdb)
		for n := range 3 {
			conn.Guard([]byte(fmt.Sprint(n)))
			redistest.NoErrors(t, commit(conn, key, fmt.Sprint(n+1), time.Now().Add(time.Minute)))
			conn.Unbind()
		}
		commands := count.Commands()
		if native := rdb.Do(t.Context(), "set", key+":x", "y", "ifeq", "z").Err(); errors.Is(native, goredis.Nil) {
			if commands["set"] != 3 || commands["evalsha"] != 0 {
				t.Errorf("with SET … IFEQ: %v", commands)
			}
		} else if commands["set"] != 1 || commands["evalsha"] != 3 {
			t.Errorf("without SET … IFEQ: %v", commands)
		}
		if got := rdb.Get(t.Context(), key).Val(); got != "3" {
			t.Errorf("got %q", got)
		}
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 50*time.Second || ttl > time.Minute {
			t.Errorf("time to live: %v", ttl)
		}
	})
}

// rejecting is a node without SET … IFEQ, as after a failover to an older server.
type rejecting struct{ on bool }

func (r *rejecting) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (r *rejecting) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if args := cmd.Args(); r.on && len(args) > 5 && strings.EqualFold(fmt.Sprint(args[len(args)-2]), "ifeq") {
			cmd.SetErr(syntaxError{})
			return syntaxError{}
		}
		return next(ctx, cmd)
	}
}

func (r *rejecting) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// A commit over a node that rejects the command is done by the script, at once, and
// nothing is written twice or lost.
func TestANodeWithoutIFEQTakesOver(t *testing.T) {
	rdb, key := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	older := &rejecting{}
	rdb.AddHook(older)
	conn := dialer(t, rdb, false).Conn()
	redistest.NoErrors(t, commit(conn, key, "a", time.Now().Add(time.Minute)))
	for i, step := range []struct {
		older    bool
		from, to string
		conflict string
	}{{false, "a", "b", ""}, {true, "b", "c", ""}, {false, "c", "d", ""}, {true, "b", "x", "d"}, {false, "b", "x", "d"}} {
		older.on = step.older
		conn.Guard([]byte(step.from))
		err := commit(conn, key, step.to, time.Now().Add(time.Minute))
		conn.Unbind()
		var conflict *redigoconn.ConflictError
		switch {
		case step.conflict == "" && err != nil:
			t.Errorf("step %d: %v", i, err)
		case step.conflict != "" && (!errors.As(err, &conflict) || string(conflict.Current) != step.conflict):
			t.Errorf("step %d: %v, want a conflict with %q", i, err, step.conflict)
		}
	}
	if got := rdb.Get(t.Context(), key).Val(); got != "d" {
		t.Errorf("got %q, want d", got)
	}
}
