package connect_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A client of the user's does what a Conn of our own does on every topology.
func TestFromClient(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		c, err := connect.FromClient(rdb, connect.WithName("shop"), connect.WithPrefix("app"))
		if err != nil {
			t.Fatal(err)
		}
		ctx := within(t, patience)
		if c.Name() != "shop" || c.Mode().String() != g.Name || c.Key("a") != "app:a" || c.Client() != rdb {
			t.Errorf("got %v, mode %v, key %s", c, c.Mode(), c.Key("a"))
		}
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		if h := c.Health(ctx); !h.OK || h.Conn != "shop" || len(h.Nodes) == 0 || h.Nodes[0].Addr == "" {
			t.Errorf("health: got %+v", h)
		}
		if err := c.Batched().Set(ctx, prefix+":k", "v", patience).Err(); err != nil {
			t.Error(err)
		}
		keys := 0
		for key, err := range c.Keys(ctx, prefix+":*") {
			if keys++; err != nil || key != prefix+":k" {
				t.Errorf("keys: got %q, %v", key, err)
			}
		}
		if keys != 1 {
			t.Errorf("got %d keys, want 1", keys)
		}
		nodes, err := c.Nodes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		masters := 0
		for _, n := range nodes {
			if n.Role == "sentinel" {
				t.Errorf("a sentinel is listed, which the client does not tell: %+v", n)
			}
			server, err := c.Server(ctx, n.Addr)
			if err != nil {
				t.Errorf("%s %s: %v", n.Role, n.Addr, err)
				continue
			}
			role, err := server.Do(ctx, "role").Slice()
			if want := map[string]string{"master": "master", "replica": "slave"}[n.Role]; err != nil || role[0] != want {
				t.Errorf("%s %s says %v, %v", n.Role, n.Addr, role, err)
			}
			if n.Role == "master" {
				masters++
			}
			_ = server.Close()
		}
		if want := map[string]int{"standalone": 1, "sentinel": 1, "cluster": 3}[g.Name]; masters != want {
			t.Errorf("got %d masters, want %d: %+v", masters, want, nodes)
		}
		if _, err := c.Server(ctx, "192.0.2.1:1"); !errors.Is(err, connect.ErrUnknown) {
			t.Errorf("an unknown server: got %v, want ErrUnknown", err)
		}
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		if h := c.Health(ctx); h.OK {
			t.Error("a closed connection is healthy")
		}
		if err := rdb.Get(ctx, prefix+":k").Err(); err != nil {
			t.Errorf("the user's client: %v, want it left open", err)
		}
	})
}

func TestFromClientClosesWhatItIsGiven(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: redistest.NewServer(t).Addr(), ContextTimeoutEnabled: true})
	c, err := connect.FromClient(rdb, connect.WithCloseClient(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("got %v, want the client closed", err)
	}
}

func TestFromClientReportsEveryMistake(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	for name, tc := range map[string]struct {
		rdb  redis.UniversalClient
		opts []connect.Option
		want string
	}{
		"nil":         {nil, nil, "connect: default: rdb: is nil"},
		"nil client":  {(*redis.Client)(nil), nil, "rdb: is nil"},
		"nil cluster": {(*redis.ClusterClient)(nil), nil, "rdb: is nil"},
		"ring":        {ring, nil, "rdb: is *redis.Ring"},
		"name":        {rdb, []connect.Option{connect.WithName("")}, "WithName: is empty"},
		"logger":      {rdb, []connect.Option{connect.WithLogger(nil)}, "WithLogger: is nil"},
		"batching":    {rdb, []connect.Option{connect.WithBatching(-2)}, "WithBatching: is below -1"},
		"hook":        {rdb, []connect.Option{connect.WithHook(nil)}, "WithHook: has no effect"},
		"pool":        {rdb, []connect.Option{nil, connect.WithPool(1, 1), connect.WithRetries(1)}, "WithPool: has no effect on a client that is made already\nconnect: default: WithRetries: has no effect"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := connect.FromClient(tc.rdb, tc.opts...); !mistaken(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := connect.Open("redis://h", connect.WithCloseClient(true)); !mistaken(err) {
		t.Errorf("WithCloseClient with Open: got %v", err)
	}
}

func TestFromClientDescribesTheClient(t *testing.T) {
	var log bytes.Buffer
	logger := connect.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: "/run/redis.sock", DB: 3, Username: "app", Password: "hunter2", ClientName: "shop", PoolSize: 7})
	defer rdb.Close()
	c, err := connect.FromClient(rdb, logger)
	if err != nil {
		t.Fatal(err)
	}
	if i := c.Info(); i.Name != "default" || i.Socket != "/run/redis.sock" || i.DB != 3 || i.Username != "app" || i.ClientName != "shop" || i.PoolSize != 7 || i.TLS {
		t.Errorf("got %+v", i)
	}
	if s := c.String(); s != "default (redis+unix://app@/run/redis.sock?db=3)" {
		t.Errorf("got %s", s)
	}
	if !strings.Contains(log.String(), "ContextTimeoutEnabled") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log says %q", log.String())
	}
	log.Reset()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"h1:1", "h2:2"}, ContextTimeoutEnabled: true})
	defer cluster.Close()
	if c, err = connect.FromClient(cluster, logger); err != nil || !slices.Equal(c.Info().Addrs, []string{"h1:1", "h2:2"}) || c.Mode() != connect.Cluster || log.Len() > 0 {
		t.Errorf("got %+v, %v, log %q", c.Info(), err, log.String())
	}
}

// What a Conn itself does with a client of the user's says that Redis is away;
// the client's own errors stay go-redis'.
func TestFromClientOfARedisThatIsAway(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	c, err := connect.FromClient(rdb)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ready(ctx); !errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("Ready: got %v, want ErrUnavailable", err)
	}
	if h := c.Health(t.Context()); h.OK || !strings.Contains(h.Error, "redis is unavailable") {
		t.Errorf("Health: got %+v", h)
	}
	nodes, err := c.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].OK || nodes[0].Error == "" {
		t.Errorf("Nodes: got %+v, %v", nodes, err)
	}
	if err := c.Client().Ping(t.Context()).Err(); err == nil || errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("the client: got %v, want go-redis' own error", err)
	}
}

func TestAConnYieldsItself(t *testing.T) {
	c := open(t, "redis://127.0.0.1:1", connect.WithName("only"))
	n := 0
	for name, conn := range c.All() {
		if n++; name != c.Name() || conn != c {
			t.Errorf("got %s, %v", name, conn)
		}
	}
	if n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}
