package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// bare is a client of which nothing is known but that it sends commands.
type bare struct{ bounded.Client }

// Each command of a group has its own reply or error, with every kind of client,
// and those for one node are executed in their order.
func TestAGroupHasItsOwnRepliesAndErrors(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		for name, client := range map[string]bounded.Client{"known": rdb, "wrapped": struct{ redis.UniversalClient }{rdb}, "bare": bare{rdb}} {
			c := bounded.New(client)
			for i := range 20 { // keys of all masters
				key := fmt.Sprint(redistest.Prefix(t), name, i)
				set := redis.NewStatusCmd(t.Context(), "set", key, i, "px", 60_000)
				get := redis.NewStringCmd(t.Context(), "get", key)
				wrong := redis.NewIntCmd(t.Context(), "llen", key)
				missing := redis.NewStringCmd(t.Context(), "get", key+"other")
				unknown := redis.NewCmd(t.Context(), "evalsha", "0000", 1, key)
				unknown.SetFirstKeyPos(3)
				last := redis.NewIntCmd(t.Context(), "del", key)
				if err := c.ProcessAll(t.Context(), set, get, wrong, missing, unknown, last); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got, err := get.Int(); got != i || err != nil || set.Err() != nil || last.Val() != 1 {
					t.Errorf("%s: got %d, %v; set: %v; del: %d", name, got, err, set.Err(), last.Val())
				}
				if !redis.HasErrorPrefix(wrong.Err(), "WRONGTYPE") || !redis.HasErrorPrefix(unknown.Err(), "NOSCRIPT") {
					t.Errorf("%s: LLEN of a string: %v, EVALSHA of no script: %v", name, wrong.Err(), unknown.Err())
				}
				if err := missing.Err(); err != redis.Nil { //nolint:errorlint // identity is the contract
					t.Errorf("%s: missing: got %v", name, err)
				}
			}
			if err := c.ProcessAll(t.Context()); err != nil {
				t.Errorf("%s: an empty group: %v", name, err)
			}
		}
	})
}

// No command of a group whose replies are lost is sent again, and the group ends
// with its context.
func TestAGroupIsSentOnceAndEndsWithItsContext(t *testing.T) {
	s := redistest.NewServer(t)
	direct := s.Client(t)
	p := redistest.NewProxy(t, s.Addr())
	for name, rdb := range clients(t, p.Addr()) {
		t.Run(name, func(t *testing.T) {
			c, key := bounded.New(rdb), redistest.Prefix(t)
			group := func() []redis.Cmder {
				return []redis.Cmder{redis.NewIntCmd(t.Context(), "incr", key+"a"), redis.NewCmd(t.Context(), "incr", key+"b")}
			}
			if err := c.ProcessAll(t.Context(), group()...); err != nil {
				t.Fatal(err)
			}
			p.SwallowReplies()
			ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
			defer cancel()
			start, lost := time.Now(), group()
			err := c.ProcessAll(ctx, lost...)
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v, want 80ms", took)
			}
			if name == "defaults" {
				if !errors.Is(err, bounded.ErrAbandoned) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want ErrAbandoned", err)
				}
			} else if err != nil || lost[0].Err() == nil || lost[1].Err() == nil {
				t.Errorf("got %v, commands %v", err, lost)
			}
			<-ctx.Done() // the socket's deadline comes first
			if err := c.ProcessAll(ctx, group()...); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bounded.ErrAbandoned) {
				t.Errorf("with a dead context: got %v", err)
			}
			p.CloseConns()
			p.Heal()
			redistest.Eventually(t, patience, func() bool { return rdb.Ping(t.Context()).Err() == nil }, "not healed")
			for _, of := range []string{"a", "b"} {
				if n, _ := direct.Get(t.Context(), key+of).Int(); n != 2 {
					t.Errorf("%s: executed %d times, want 2", of, n)
				}
			}
		})
	}
}

// A group whose connection does not come about has an error at each command.
func TestAGroupWithoutAConnection(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer rdb.Close()
	cmds := []redis.Cmder{redis.NewIntCmd(t.Context(), "incr", "a"), redis.NewCmd(t.Context(), "incr", "b")}
	if err := bounded.New(rdb).ProcessAll(t.Context(), cmds...); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cmds {
		if cmd.Err() == nil {
			t.Errorf("%v has no error", cmd)
		}
	}
}
