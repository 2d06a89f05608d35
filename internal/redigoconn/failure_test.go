package redigoconn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

func (oldServer) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if cmd.Name() == "set" && strings.Contains(strings.ToUpper(fmt.Sprint(cmd.Args()...)), "PXAT") {
			cmd.SetErr(syntaxError{})
			return syntaxError{}
		}
		return next(ctx, cmd)
	}
}

// what is done with a connection, in the ways that reach a server.
var ways = map[string]func(c *redigoconn.Conn) error{
	"get":      func(c *redigoconn.Conn) error { _, err := c.Do("GET", "k"); return err },
	"track":    func(c *redigoconn.Conn) error { c.TrackTTL(true); _, err := c.Do("GET", "k"); return err },
	"pipeline": func(c *redigoconn.Conn) error { _ = c.Send("GET", "k"); _, err := c.Do("GET", "l"); return err },
	"flush":    func(c *redigoconn.Conn) error { _ = c.Send("GET", "k"); return c.Flush() },
	"receive":  func(c *redigoconn.Conn) error { _ = c.Send("GET", "k"); _, err := c.Receive(); return err },
	"commit":   func(c *redigoconn.Conn) error { return commit(c, "k", "v", time.Now().Add(time.Minute)) },
	"guarded": func(c *redigoconn.Conn) error {
		c.Guard([]byte("v"))
		return commit(c, "k", "w", time.Now().Add(time.Minute))
	},
	"transaction": func(c *redigoconn.Conn) error {
		_ = c.Send("MULTI")
		_ = c.Send("SET", "k", "v")
		_ = c.Send("GET", "k")
		_, err := c.Do("EXEC")
		return err
	},
	"keys":   func(c *redigoconn.Conn) error { _, err := c.Do("KEYS", "*"); return err },
	"dbsize": func(c *redigoconn.Conn) error { _, err := c.Do("DBSIZE"); return err },
}

// An outage is an error that says so in every way, leaves nothing behind on the
// connection, and ends with the outage.
func TestOutages(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: s.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	d := dialer(t, rdb, false)
	conns := map[string]*redigoconn.Conn{}
	for name, way := range ways {
		conns[name] = d.Conn()
		if err := way(conns[name]); err != nil && !errors.Is(err, redigoconn.ErrGone) {
			if _, ok := errors.AsType[*redigoconn.ConflictError](err); !ok {
				t.Errorf("%s, before: %v", name, err)
			}
		}
	}
	s.Kill()
	for name, way := range ways {
		err := way(conns[name])
		if !errors.Is(err, unavailable.Err) || !strings.HasPrefix(err.Error(), "redigopool: ") {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
		if conns[name].Err() != nil {
			t.Errorf("%s: the connection counts as broken", name)
		}
	}
	s.Restart(t)
	redistest.Eventually(t, patience, func() bool { return rdb.Ping(t.Context()).Err() == nil }, "not back")
	for name, c := range conns {
		c.Unbind()
		if got, err := c.Do("PING"); got != "PONG" || err != nil {
			t.Errorf("%s, after: got %v, %v, want the reply of PING alone", name, got, err)
		}
	}
}

// What Redis refuses is an error of redigo's type in every way.
func TestRefusals(t *testing.T) {
	s := redistest.NewServer(t)
	admin := s.Client(t)
	if err := admin.Set(t.Context(), "k", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "acl", "setuser", "u", "on", ">secret", "~*", "+@all", "-get", "-keys", "-scan").Err(); err != nil {
		t.Fatal(err)
	}
	opts := s.Options()
	opts.Username, opts.Password = "u", "secret"
	rdb := goredis.NewClient(opts)
	defer rdb.Close()
	for name, want := range map[string]string{
		"get": "NOPERM", "track": "NOPERM", "pipeline": "NOPERM", "receive": "NOPERM", "keys": "NOPERM", "commit": "OOM", "guarded": "ERR", // GET in its script
	} {
		conn := dialer(t, rdb, false).Conn()
		err := ways[name](conn)
		if _, ok := errors.AsType[redis.Error](err); !ok || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %T %v, want %s", name, err, err, want)
		}
		conn.Unbind()
		if got, err := conn.Do("PING"); got != "PONG" || err != nil {
			t.Errorf("%s, after: got %v, %v", name, got, err)
		}
	}
}

func TestAClosedConnection(t *testing.T) {
	conn := dialer(t, redistest.Standalone(t).Client(t), false).Conn()
	_ = conn.Send("MULTI")
	if err := conn.Close(); err != nil || conn.Err() == nil {
		t.Errorf("close: %v, then Err is %v", err, conn.Err())
	}
	for name, call := range map[string]func() error{
		"Close":              conn.Close,
		"Send":               func() error { return conn.Send("GET", "k") },
		"Flush":              conn.Flush,
		"Do":                 func() error { _, err := conn.Do("GET", "k"); return err },
		"Do of nothing":      func() error { _, err := conn.Do(""); return err },
		"Receive":            func() error { _, err := conn.Receive(); return err },
		"DoWithTimeout":      func() error { _, err := conn.DoWithTimeout(time.Second, "GET", "k"); return err },
		"ReceiveWithTimeout": func() error { _, err := conn.ReceiveWithTimeout(time.Second); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

func TestReceiveWithoutAReply(t *testing.T) {
	conn := dialer(t, redistest.Standalone(t).Client(t), false).Conn()
	if got, err := conn.Receive(); err == nil { // redigo would wait for ever
		t.Errorf("got %v", got)
	}
	_ = conn.Send("PING")
	if got, err := conn.ReceiveWithTimeout(time.Minute); got != "PONG" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := conn.DoWithTimeout(0, "PING"); got != "PONG" || err != nil {
		t.Errorf("no timeout: got %v, %v", got, err)
	}
}

// What a shared connection refuses depends on where the words stand.
func TestRefusedWords(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		conn := dialer(t, g.Client(t), false).Conn()
		key := redistest.Prefix(t)
		for _, tc := range []struct {
			words   []any
			refused bool
		}{
			{[]any{"XREAD", "BLOCK", 1, "STREAMS", key, "0"}, true},
			{[]any{"XREAD", "COUNT", 1, "block", []byte("1"), "STREAMS", key, "0"}, true},
			{[]any{"XREAD", "COUNT", 1, "STREAMS", "block", "0"}, false},
			{[]any{"XREAD", "STREAMS", key, "0"}, false},
			{[]any{"KEYS", key + "*"}, false},
		} {
			_, err := conn.Do(tc.words[0].(string), tc.words[1:]...)
			if _, refused := errors.AsType[*redigoconn.CommandError](err); refused != tc.refused || !refused && err != nil {
				t.Errorf("%v: got %v, refused %t, want %t", tc.words, err, refused, tc.refused)
			}
		}
		for name, begin := range map[string]func(){
			"MULTI":            func() { _, _ = conn.Do("MULTI") },
			"MULTI, not sent":  func() { _ = conn.Send("MULTI") },
			"MULTI, MULTI":     func() { _, _ = conn.Do("MULTI"); _ = conn.Send("GET", key) },
			"EXEC, then MULTI": func() { _ = conn.Send("MULTI"); _ = conn.Send("EXEC"); _ = conn.Send("MULTI") },
		} {
			begin()
			if _, refused := errors.AsType[*redigoconn.CommandError](conn.Send("DBSIZE")); !refused {
				t.Errorf("%s: DBSIZE is not refused in a transaction", name)
			}
			if _, err := conn.Do("DISCARD"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := redis.Int(conn.Do("DBSIZE")); err != nil {
				t.Errorf("%s, after DISCARD: %v", name, err)
			}
		}
	})
}
