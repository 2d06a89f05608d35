package bounded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

// clients as users bring them: with go-redis' defaults, and with deadlines.
func clients(t *testing.T, addr string) map[string]*redis.Client {
	t.Helper()
	all := map[string]*redis.Client{
		"defaults": redis.NewClient(&redis.Options{Addr: addr}),
		"honours":  redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}),
	}
	for _, c := range all {
		t.Cleanup(func() { c.Close() })
	}
	return all
}

func TestCallsEndWithTheirContextAndAreSentOnce(t *testing.T) {
	s := redistest.NewServer(t)
	direct := s.Client(t)
	p := redistest.NewProxy(t, s.Addr())
	script := redis.NewScriptServerSHA("return redis.call('INCR', KEYS[1])")
	for name, rdb := range clients(t, p.Addr()) {
		t.Run(name, func(t *testing.T) {
			c := bounded.New(rdb)
			if got, want := c.HonorsDeadlines(), name == "honours"; got != want {
				t.Errorf("honours deadlines: got %v, want %v", got, want)
			}
			key := redistest.Prefix(t)
			if n, err := script.Run(t.Context(), c, []string{key}).Int(); n != 1 || err != nil {
				t.Fatalf("healthy: got %d, %v", n, err)
			}
			p.SwallowReplies()
			// The script is first, over the connection that is open: later ones
			// lose their handshake and send no command at all.
			for _, tc := range []struct {
				what string
				call func(context.Context) error
			}{
				{"script", func(ctx context.Context) error { return script.Run(ctx, c, []string{key}).Err() }},
				{"load", func(ctx context.Context) error { return c.ScriptLoad(ctx, "return 1").Err() }},
				{"exists", func(ctx context.Context) error { return c.ScriptExists(ctx, "x").Err() }},
				{"process", func(ctx context.Context) error { return c.Process(ctx, redis.NewStringCmd(ctx, "get", key)) }},
				{"do", func(ctx context.Context) error {
					return c.Do(ctx, func(ctx context.Context) error { return rdb.Get(ctx, key).Err() })
				}},
			} {
				what, call := tc.what, tc.call
				ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
				start := time.Now()
				err := call(ctx)
				var timeout interface{ Timeout() bool }
				if took := time.Since(start); !errors.As(err, &timeout) || took > time.Second {
					t.Errorf("%s: got %v after %v, want a timeout at 80ms", what, err, took)
				}
				if name == "defaults" && !errors.Is(err, bounded.ErrAbandoned) {
					t.Errorf("%s: got %v, want ErrAbandoned", what, err)
				}
				cancel()
				if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s with a dead context: got %v", what, err)
				}
			}
			p.CloseConns()
			p.Heal()
			redistest.Eventually(t, patience, func() bool { return rdb.Ping(t.Context()).Err() == nil }, "not healed")
			if n, _ := direct.Get(t.Context(), key).Int(); n != 2 {
				t.Errorf("the script whose reply was lost ran %d times, want once", n-1)
			}
		})
	}
}

func TestScriptsOnEveryTopology(t *testing.T) {
	script := redis.NewScriptServerSHA("return {KEYS[1], ARGV[1]}")
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := bounded.New(g.Client(t))
		for range 20 { // keys of all masters
			key := redistest.Prefix(t)
			got, err := script.Run(t.Context(), c, []string{key}, "a").StringSlice()
			if err != nil || len(got) != 2 || got[0] != key {
				t.Errorf("got %v, %v", got, err)
			}
			if got, err := redis.NewScript("return 1").RunRO(t.Context(), c, []string{key}).Int(); got != 1 || err != nil {
				t.Errorf("read-only: got %v, %v", got, err)
			}
		}
		if got := c.ScriptExists(t.Context(), script.Hash()).Val(); len(got) != 1 || !got[0] {
			t.Errorf("SCRIPT EXISTS: got %v", got)
		}
	})
}

func TestServerErrorsPassThrough(t *testing.T) {
	c := bounded.New(redistest.Standalone(t).Client(t))
	if err := c.Eval(t.Context(), "return redis.error_reply('OWN error')", nil).Err(); !redis.HasErrorPrefix(err, "OWN") {
		t.Errorf("got %v", err)
	}
	if err := c.EvalSha(t.Context(), "0000", nil).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("got %v", err)
	}
}
