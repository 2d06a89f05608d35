package connect_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// plain is a dialer that knows no TLS.
func plain(dials *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// A dialer of one's own does not turn TLS off, on no topology and however it is
// set: the servers here speak nothing else.
func TestACustomDialerSpeaksTLS(t *testing.T) {
	t.Parallel()
	secured := []redistest.ServerOption{redistest.WithTLS()}
	cluster, server := redistest.NewCluster(t, 0, secured...), redistest.NewServer(t, secured...)
	sentinel := redistest.NewSentinel(t, redistest.WithData(secured...))
	for name, url := range map[string]string{"standalone": server.URL(), "cluster": cluster.Target().URL, "sentinel": sentinel.Target().URL} {
		var dials, last atomic.Int64
		for how, opt := range map[string]connect.Option{
			"WithDialer":  connect.WithDialer(plain(&dials)),
			"WithGoRedis": connect.WithGoRedis(func(o *redis.Options) { o.Dialer = plain(&dials) }),
		} {
			c := open(t, url, opt)
			if err := c.Ready(within(t, patience)); err != nil || dials.Load() == last.Load() {
				t.Errorf("%s, %s: %v after %d dials", name, how, err, dials.Load())
			}
			last.Store(dials.Load())
			nodes, err := c.Nodes(within(t, patience))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range nodes {
				if n.Role != "master" {
					continue
				}
				direct, err := c.Server(within(t, patience), n.Addr)
				if err != nil {
					t.Fatal(err)
				}
				if err := direct.Ping(within(t, patience)).Err(); err != nil {
					t.Errorf("%s, %s: Server: %v", name, how, err)
				}
				_ = direct.Close()
			}
		}
	}

	// TLS by WithGoRedis alone: the URLs say plain text.
	data := sentinel.Data[0]
	for name, target := range map[string]string{"standalone": server.URL(), "cluster": cluster.Target().URL, "sentinel": sentinel.Target().URL} {
		target, _, _ = strings.Cut(strings.Replace(target, "rediss", "redis", 1), "?")
		query := ""
		config := server.TLSConfig()
		switch name {
		case "sentinel":
			query, config = "?sentinel_plain=true", data.TLSConfig()
		case "cluster":
			config = cluster.Nodes[0].TLSConfig()
		}
		c := open(t, target+query, connect.WithGoRedis(func(o *redis.Options) { o.TLSConfig = config }))
		if err := c.Ready(within(t, patience)); err != nil || !c.Info().TLS {
			t.Errorf("TLS by WithGoRedis, %s: %v, %+v", name, err, c.Info())
		}
	}
}

type countingHook struct{ dials, calls, pipelines atomic.Int64 }

func (h *countingHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.dials.Add(1)
		return next(ctx, network, addr)
	}
}

func (h *countingHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "get" {
			h.calls.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (h *countingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "get" {
			h.pipelines.Add(1)
		}
		return next(ctx, cmds)
	}
}

// A hook sees dials, and each call once, on every topology.
func TestAHookSeesEverythingOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		h := &countingHook{}
		c := open(t, g.URL, connect.WithHook(h))
		if err := c.Client().Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		_, _ = c.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error { p.Get(t.Context(), "k"); return nil })
		if h.dials.Load() == 0 || h.calls.Load() != 1 || h.pipelines.Load() != 1 {
			t.Errorf("dials %d, calls %d, pipelines %d, want some, 1 and 1", h.dials.Load(), h.calls.Load(), h.pipelines.Load())
		}
	})
}

// An OnConnect set by WithGoRedis runs on data nodes only: sentinels know few
// commands.
func TestOnConnectIsForDataNodes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		var calls atomic.Int64
		c := open(t, g.URL, connect.WithGoRedis(func(o *redis.Options) {
			o.OnConnect = func(ctx context.Context, cn *redis.Conn) error { calls.Add(1); return cn.Exists(ctx, "k").Err() }
		}))
		if err := c.Ready(within(t, patience)); err != nil || calls.Load() == 0 {
			t.Errorf("%v after %d calls", err, calls.Load())
		}
	})
}

// What WithGoRedis changes is what the connection says of itself, and a change
// that builds on the old value is made once.
func TestInfoSaysWhatWithGoRedisChanged(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := open(t, g.URL, connect.WithPool(10, 0), connect.WithGoRedis(func(o *redis.Options) { o.PoolSize *= 2; o.ClientName = "changed" }))
		if i := c.Info(); i.PoolSize != 20 || i.ClientName != "changed" {
			t.Errorf("Info: %+v", i)
		}
		err := c.EachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
			if o := master.Options(); o.PoolSize != 20 || o.ClientName != "changed" {
				t.Errorf("a node has a pool of %d, named %s", o.PoolSize, o.ClientName)
			}
			name, err := master.ClientGetName(ctx).Result()
			if name != "changed" {
				t.Errorf("CLIENT GETNAME: %q", name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

type someCredentials struct {
	auth.StreamingCredentialsProvider
}

// Options that would do nothing are refused when the connection is opened.
func TestOptionsWithoutEffectAreRejected(t *testing.T) {
	ask := func(context.Context) (string, string, error) { return "a", "b", nil }
	never := connect.WithEmbedded(func() (connect.EmbeddedServer, error) { return nil, errors.New("is not started") })
	for _, tc := range []struct {
		url, field string
		opts       []connect.Option
	}{
		{"redis://app@h", "username", nil},
		{"redis+sentinel://s/m?sentinel_username=w", "sentinel_username", nil},
		{"embedded://", "credentials", []connect.Option{never, connect.WithCredentials(ask)}},
		{"embedded://", "credentials", []connect.Option{never, connect.WithStreamingCredentials(someCredentials{})}},
		{"embedded://app:secret@", "credentials", []connect.Option{never}},
		{"embedded://", "tls", []connect.Option{never, connect.WithTLS(redistest.NewServer(t, redistest.WithTLS()).TLSConfig())}},
		{"redis://h", "sentinel_ca_file", []connect.Option{connect.WithSentinelTLS(redistest.NewServer(t, redistest.WithTLS()).TLSConfig())}},
	} {
		_, err := connect.Open(tc.url, append(tc.opts, connect.WithName("c"))...)
		if !mistaken(err) || !strings.Contains(err.Error(), "connect: c: "+tc.field) {
			t.Errorf("%s with %d options: got %v, want a mistake in %s", tc.url, len(tc.opts), err, tc.field)
		}
		if err := connect.NewSet(tc.opts...).Add("c", tc.url); !mistaken(err) || !strings.Contains(err.Error(), tc.field) {
			t.Errorf("Add %s: got %v, want a mistake in %s", tc.url, err, tc.field)
		}
	}
}

// An option that is given nothing is a mistake: WithTLS(nil) would turn TLS off.
func TestOptionsGivenNothingAreMistakes(t *testing.T) {
	for name, opt := range map[string]connect.Option{
		"WithTLS": connect.WithTLS(nil), "WithSentinelTLS": connect.WithSentinelTLS(nil), "WithCredentials": connect.WithCredentials(nil),
		"WithPasswordFile": connect.WithPasswordFile("app", ""), "WithStreamingCredentials": connect.WithStreamingCredentials(nil),
		"WithDialer": connect.WithDialer(nil), "WithGoRedis": connect.WithGoRedis(nil), "WithEmbedded": connect.WithEmbedded(nil),
		"WithLogger": connect.WithLogger(nil), "WithHook": connect.WithHook(nil),
	} {
		if _, err := connect.Open("rediss+sentinel://app:secret@s/m", connect.WithName("c"), opt); !mistaken(err) || !strings.Contains(err.Error(), "c: "+name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	config := connect.Config{Addrs: []string{"h:6379"}, TLS: redistest.NewServer(t, redistest.WithTLS()).TLSConfig()}
	if _, err := connect.New(config, connect.WithName("c")); !mistaken(err) || !strings.Contains(err.Error(), "c: tls") {
		t.Errorf("a TLS configuration without UseTLS: got %v", err)
	}
}

// Of several sources of credentials the last one given holds, so that a member
// of a Set can differ from the Set's default.
func TestTheLastCredentialsHold(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithACL("alice", "right"))
	wrong := func(context.Context) (string, string, error) { return "alice", "wrong", nil }
	right := func(context.Context) (string, string, error) { return "alice", "right", nil }
	file := passwordFile(t, "right")
	for name, opts := range map[string][2]connect.Option{
		"file after provider":      {connect.WithCredentials(wrong), connect.WithPasswordFile("alice", file)},
		"provider after file":      {connect.WithPasswordFile("alice", passwordFile(t, "wrong")), connect.WithCredentials(right)},
		"provider after streaming": {connect.WithStreamingCredentials(someCredentials{}), connect.WithCredentials(right)},
	} {
		set := connect.NewSet(opts[0])
		if err := set.Add("c", "redis://"+s.Addr(), opts[1]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := set.Ready(within(t, patience)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := set.Close(within(t, patience)); err != nil {
			t.Error(err)
		}
	}
}

// A connection that cannot be made is not well.
func TestHealthShowsAConnectionThatCannotBeMade(t *testing.T) {
	set := connect.NewSet(connect.WithEmbedded(func() (connect.EmbeddedServer, error) { return nil, errors.New("no memory") }))
	for name, url := range map[string]string{"good": redistest.Standalone(t).URL, "bad": "embedded://"} {
		if err := set.Add(name, url); err != nil {
			t.Fatal(err)
		}
	}
	code, text, _ := get(t, set.HealthHandler(), "GET")
	if code != 503 || !strings.Contains(text, "no memory") {
		t.Errorf("got %d %s", code, text)
	}
	if code, text, _ := get(t, set.HealthHandler("good"), "GET"); code != 200 || !strings.Contains(text, "no memory") {
		t.Errorf("not required: got %d %s", code, text)
	}
	if err := set.Close(within(t, patience)); err != nil {
		t.Error(err)
	}
}

// WithRetries means the same number on every topology.
func TestRetriesAreThatMany(t *testing.T) {
	t.Parallel()
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	c := open(t, "redis://"+p.Addr(), connect.WithRetries(1), connect.WithTimeouts(connect.Timeouts{Read: 100 * time.Millisecond}))
	if err := c.Client().Incr(t.Context(), "n").Err(); err != nil {
		t.Fatal(err)
	}
	warm(t, c, "none")
	p.SwallowReplies()
	_ = c.Client().Incr(within(t, patience), "n").Err()
	redistest.Eventually(t, patience, func() bool { got, _ := s.Client(t).Get(t.Context(), "n").Int(); return got >= 3 }, "was not sent again")
	if got, _ := s.Client(t).Get(t.Context(), "n").Int(); got != 3 {
		t.Errorf("executed %d times, want 2", got-1)
	}
}

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mistaken reports whether err has an OptionError in it.
func mistaken(err error) bool {
	_, ok := errors.AsType[*connect.OptionError](err)
	return ok
}
