package connect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

func open(t *testing.T, url string, opts ...connect.Option) *connect.Conn {
	t.Helper()
	c, err := connect.Open(url, append(opts, connect.WithName("test"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c
}

// warm makes connections that have been greeted: sending a command again needs
// another one, and a server that does not answer greets none.
func warm(t *testing.T, c *connect.Conn, key string) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := c.Client().BLPop(t.Context(), 100*time.Millisecond, key).Err(); !errors.Is(err, redis.Nil) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestEveryTopologyServes(t *testing.T) {
	urls := map[string]string{
		"standalone": redistest.Standalone(t).URL,
		"unix":       redistest.NewServer(t, redistest.WithUnix()).URL(),
		"tls":        redistest.NewServer(t, redistest.WithTLS()).URL(),
		"acl":        redistest.NewServer(t, redistest.WithACL("alice", "s3cr/t#@:%?")).URL(),
		"sentinel":   redistest.Sentinel(t).URL,
		"cluster":    redistest.Cluster(t).URL,
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			redistest.NoLeaks(t)
			c := open(t, url)
			if err := c.Ready(within(t, patience)); err != nil {
				t.Fatal(err)
			}
			key := c.Key(redistest.Prefix(t), "k")
			if err := c.Client().Set(t.Context(), key, "v", time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			masters := 1
			if name == "cluster" {
				masters = 3
			}
			h := c.Health(within(t, patience))
			if !h.OK || len(h.Nodes) != masters || h.Latency <= 0 {
				t.Errorf("health: got %+v, want %d masters, all well", h, masters)
			}
			if got := c.Stats(); got.Dials == 0 {
				t.Errorf("stats: got %+v, want dials counted", got)
			}
			names, _ := c.Client().ClientGetName(t.Context()).Result()
			if !strings.HasSuffix(names, ":test") {
				t.Errorf("client name: got %q, want …:test", names)
			}
		})
	}
}

func TestKeysOfAllMasters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := open(t, g.URL)
		prefix := redistest.Prefix(t)
		for i := range 500 {
			c.Client().Set(t.Context(), fmt.Sprint(prefix, ":", i), 1, time.Minute)
		}
		seen := map[string]bool{}
		for key, err := range c.Keys(t.Context(), prefix+":*") {
			if err != nil {
				t.Fatal(err)
			}
			if seen[key] {
				t.Errorf("%s twice", key)
			}
			seen[key] = true
		}
		if len(seen) != 500 {
			t.Errorf("keys: got %d, want 500", len(seen))
		}
		for range c.Keys(t.Context(), prefix+":*") {
			break // must not go on
		}
	})
}

func TestWrongCredentialsFailAtOnceWithAHint(t *testing.T) {
	t.Parallel()
	acl := redistest.NewServer(t, redistest.WithACL("alice", "right"))
	tls := redistest.NewServer(t, redistest.WithTLS())
	plain := redistest.NewServer(t)
	cases := map[string]struct{ url, hint string }{
		"wrong password":        {"redis://alice:wrongsecret@" + acl.Addr(), "user and password"},
		"no password":           {"redis://" + acl.Addr(), "user and password"},
		"unknown authority":     {"rediss://" + tls.Addr(), "not trusted"},
		"no client certificate": {"rediss://" + tls.Addr() + "?ca_file=" + tls.CAFile(), "TLS handshake"},
		"plain to TLS":          {"redis://" + tls.Addr(), "rediss://"},
		// Redis waits for the rest of a line, so this shows only as silence.
		"TLS to plain": {"rediss://" + plain.Addr(), "redis://"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := open(t, tc.url)
			start := time.Now()
			wait := patience
			if name == "TLS to plain" {
				wait = 2 * time.Second
			}
			err := c.Ready(within(t, wait))
			if !errors.Is(err, connect.ErrUnavailable) || !strings.Contains(err.Error(), tc.hint) {
				t.Errorf("got %v, want ErrUnavailable with a hint at %q", err, tc.hint)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v, want an answer at once", took)
			}
			if strings.Contains(fmt.Sprint(err), "wrongsecret") {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// go-redis leaves the commands of a pipeline without error and empty when no
// connection comes about for a reason that Redis words.
func TestAPipelineWithAWrongPasswordFails(t *testing.T) {
	t.Parallel()
	for _, start := range []func(...redistest.ServerOption) string{
		func(opts ...redistest.ServerOption) string { return redistest.NewServer(t, opts...).URL() },
		func(opts ...redistest.ServerOption) string { return redistest.NewCluster(t, 0, opts...).Target().URL },
	} {
		c := open(t, strings.Replace(start(redistest.WithACL("alice", "right")), ":right@", ":wrong@", 1))
		for name, pipelined := range map[string]func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error){
			"pipeline": c.Client().Pipelined, "transaction": c.Client().TxPipelined,
		} {
			cmds, err := pipelined(within(t, patience), func(p redis.Pipeliner) error {
				p.Get(t.Context(), "k")
				p.PTTL(t.Context(), "k")
				return nil
			})
			if err == nil {
				t.Errorf("%v: %s: no error", c, name)
			}
			for _, cmd := range cmds {
				if cmd.Err() == nil {
					t.Errorf("%v: %s: %v has no error", c, name, cmd)
				}
			}
		}
	}
}

func TestReadyNamesTheCauseAndWaits(t *testing.T) {
	s := redistest.NewServer(t)
	c := open(t, s.URL())
	s.Kill()
	err := c.Ready(within(t, 300*time.Millisecond))
	if !errors.Is(err, connect.ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("down: got %v, want the refused dial named", err)
	}
	up := make(chan error, 1)
	ctx := within(t, patience)
	go func() { up <- c.Ready(ctx) }()
	s.Restart(t)
	if err := <-up; err != nil {
		t.Errorf("after the restart: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(within(t, patience)); !errors.Is(err, connect.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

func TestDeadlinesHold(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	c := open(t, "redis://"+p.Addr())
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	p.Mute()
	start := time.Now()
	if err := c.Client().Get(within(t, 100*time.Millisecond), "k").Err(); err == nil {
		t.Error("a mute server answered")
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("a context of 100ms took %v", took)
	}
}

func TestALostReplyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := redistest.NewServer(t)
	direct := s.Client(t)
	p := redistest.NewProxy(t, s.Addr())
	c := open(t, "redis://"+p.Addr())
	p.SwallowReplies()
	if err := c.Client().Incr(within(t, patience), "n").Err(); err == nil {
		t.Error("no error for a lost reply")
	}
	// The first connection's handshake is swallowed as well: heal for one, then lose the INCR's.
	p.Heal()
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if err := c.Client().Ping(t.Context()).Err(); err != nil { // Ready used a pipeline's connection
		t.Fatal(err)
	}
	before, _ := direct.Get(t.Context(), "n").Int()
	p.SwallowReplies()
	if err := c.Client().Incr(within(t, patience), "n").Err(); err == nil {
		t.Error("no error for a lost reply")
	}
	if got, _ := direct.Get(t.Context(), "n").Int(); got != before+1 {
		t.Errorf("executed %d times, want once", got-before)
	}
}

// A cluster client repeats commands up to MaxRedirects whatever its retries
// say; ours does not.
func TestALostReplyIsNotSentAgainOnACluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.NewCluster(t, 0)
	key := "n"
	master := nodes.MasterOf(t, key)
	c := open(t, nodes.Target().URL, connect.WithTimeouts(connect.Timeouts{Read: 300 * time.Millisecond}))
	again := open(t, nodes.Target().URL, connect.WithTimeouts(connect.Timeouts{Read: 300 * time.Millisecond}), connect.WithRetries(1))
	for _, err := range []error{c.Client().Incr(t.Context(), key).Err(), again.Client().Incr(t.Context(), "{n}again").Err(), again.Client().Incr(t.Context(), "{n}batched").Err()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	warm(t, again, "{n}none")
	// A paused server executes what it was sent when it resumes.
	master.Pause()
	if err := c.Client().Incr(within(t, 10*time.Second), key).Err(); err == nil {
		t.Error("a paused master answered")
	}
	for key, rdb := range map[string]redis.UniversalClient{"{n}again": again.Client(), "{n}batched": again.Batched()} {
		if err := rdb.Incr(within(t, 10*time.Second), key).Err(); err == nil {
			t.Errorf("%s: a paused master answered", key)
		}
	}
	master.Resume()
	direct := master.Client(t)
	redistest.Eventually(t, patience, func() bool {
		got, _ := direct.Get(t.Context(), key).Int()
		return got >= 2
	}, "the command was not executed")
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{key: 2, "{n}again": 3, "{n}batched": 2} {
		if got, _ := c.Client().Get(t.Context(), key).Int(); got != want {
			t.Errorf("%s: INCR executed %d times, want %d", key, got-1, want-1)
		}
	}
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	_, err := connect.Open("redis://h", connect.WithName("c"), connect.WithRetries(-1), connect.WithPool(-1, 3), connect.WithLogger(nil), nil, connect.WithClientName("a b"))
	for _, field := range []string{"retries", "pool_size", "WithLogger", "client_name"} {
		if err == nil || !strings.Contains(err.Error(), "connect: c: "+field) {
			t.Errorf("%s is not reported in %v", field, err)
		}
	}
	if _, err := connect.Open("embedded://", connect.WithName("c")); err == nil || !strings.Contains(err.Error(), "embedded.Option()") {
		t.Errorf("embedded without a server: got %v", err)
	}
}

func TestOptions(t *testing.T) {
	acl := redistest.NewServer(t, redistest.WithACL("alice", "right"))
	tls := redistest.NewServer(t, redistest.WithTLS())
	var log bytes.Buffer
	asked := 0
	c := open(t, "redis://"+acl.Addr(), connect.WithCredentials(func(context.Context) (string, string, error) {
		asked++
		return "alice", "right", nil
	}), connect.WithGoRedis(func(o *redis.Options) { o.PoolFIFO = true }))
	if err := c.Ready(within(t, patience)); err != nil || asked == 0 {
		t.Errorf("credentials asked %d times, ready %v", asked, err)
	}
	if !c.Client().(*redis.Client).Options().PoolFIFO {
		t.Error("WithGoRedis has no effect")
	}
	for _, g := range []*redistest.Target{redistest.Sentinel(t), redistest.Cluster(t)} {
		called := make(chan bool, 100)
		c := open(t, g.URL, connect.WithGoRedis(func(o *redis.Options) {
			o.OnConnect = func(context.Context, *redis.Conn) error { called <- true; return nil }
		}))
		if err := c.Ready(within(t, patience)); err != nil || len(called) == 0 {
			t.Errorf("%s: WithGoRedis has no effect, ready %v", g.Name, err)
		}
	}
	c = open(t, "redis://"+tls.Addr(), connect.WithTLS(tls.TLSConfig()))
	if err := c.Ready(within(t, patience)); err != nil {
		t.Error(err)
	}
	open(t, "rediss://"+tls.Addr()+"?skip_verify=true", connect.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if !strings.Contains(log.String(), "not verified") {
		t.Errorf("skip_verify is not logged: %q", log.String())
	}
}
