//go:build unix

package connecttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// topology is one of the kit's with all that a test may do to it.
type topology struct {
	name     string
	url      string
	servers  []*connecttest.Server
	setClock func(testing.TB, time.Duration)
}

func topologies(t *testing.T, opts ...connecttest.Option) []topology {
	t.Helper()
	single := func(name string, more ...connecttest.Option) topology {
		s := connecttest.NewServer(t, append(more, opts...)...)
		return topology{name, s.URL(), []*connecttest.Server{s}, s.SetClock}
	}
	cluster, sentinel := connecttest.NewCluster(t, 0, opts...), connecttest.NewSentinel(t, opts...)
	return []topology{
		single("standalone"), single("unix", connecttest.WithUnix()), single("TLS", connecttest.WithTLS()),
		{"cluster", cluster.URL(), cluster.Nodes(), cluster.SetClock},
		{"sentinel", sentinel.URL(), append(sentinel.Data(), sentinel.Sentinels()...), sentinel.SetClock},
	}
}

// The clock, the counts and the faults of the network, on every topology.
func TestClockCountsAndFaultsOnEveryTopology(t *testing.T) {
	t.Parallel()
	for _, g := range topologies(t, connecttest.WithClock()) {
		t.Run(g.name, func(t *testing.T) {
			network := connecttest.NewNetwork(t, g.servers...)
			c := connecttest.Open(t, g.url, network.Option(), connect.WithTimeouts(connect.Timeouts{Read: 200 * time.Millisecond}))
			rdb := c.Client()

			count := connecttest.Count(rdb)
			rdb.Set(t.Context(), "k", "v", time.Hour)
			rdb.Get(t.Context(), "k")
			if got := fmt.Sprint(count.Trips(), count.Commands()); got != "2 map[get:1 set:1]" {
				t.Errorf("counted: %s", got)
			}
			if count.Reset(); count.Trips() != 0 {
				t.Error("Reset has no effect")
			}

			for name, fault := range map[string]func(){
				"mute": network.Mute, "swallow": network.SwallowReplies, "refuse": network.Refuse, "delay": func() { network.Delay(time.Second) },
				"reset": func() {
					for _, s := range g.servers {
						network.To(s).ResetMidReply(1)
					}
				},
			} {
				fault()
				if set(t, c) == nil {
					t.Errorf("%s: no error", name)
				}
				network.Heal()
				network.CloseConns()
				connecttest.Eventually(t, patience, func() bool { return set(t, c) == nil }, "%s: does not heal", name)
			}
			for _, s := range g.servers { // itself, past the network
				if err := s.Client(t).Ping(t.Context()).Err(); err != nil {
					t.Errorf("%s: %v", s.Addr(), err)
				}
			}

			if err := rdb.Set(t.Context(), "k", "v", time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
			g.setClock(t, 61*time.Minute)
			connecttest.Eventually(t, patience, func() bool {
				return errors.Is(rdb.Get(t.Context(), "k").Err(), redis.Nil)
			}, "an hour later the key is still there")
		})
	}
}

// The slot decides, not the key: a list, a key that is missing.
func TestMasterOfReadsNoKey(t *testing.T) {
	t.Parallel()
	cluster := connecttest.NewCluster(t, 0)
	c := connecttest.Open(t, cluster.URL())
	for i := range 12 {
		key := fmt.Sprint("key", i)
		if err := c.Client().LPush(t.Context(), key, 1).Err(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		n, err := cluster.MasterOf(t, key).Client(t).LLen(ctx, key).Result()
		cancel()
		if n != 1 || err != nil {
			t.Errorf("%s: %d, %v", key, n, err)
		}
		if cluster.MasterOf(t, key) != cluster.MasterOf(t, "{"+key+"}missing") {
			t.Errorf("%s: another master", key)
		}
	}
}

// failing is a test that ends with its first failure, so that it can be watched.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func (f *failing) Fatal(args ...any) {
	f.said = fmt.Sprint(args...)
	panic(f)
}

// Servers and sentinels of a test are started from the program that it names.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	program, started := filepath.Join(dir, "server"), filepath.Join(dir, "started")
	script := fmt.Sprintf("#!/bin/sh\necho $0 >> %s\nexec %s \"$@\"\n", started, redistest.Program())
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for want, url := range map[int]func() string{
		1: func() string { return connecttest.NewServer(t, connecttest.WithProgram(program)).URL() },
		3: func() string { return connecttest.NewCluster(t, 0, connecttest.WithProgram(program)).URL() },
		5: func() string { return connecttest.NewSentinel(t, connecttest.WithProgram(program)).URL() },
	} {
		if err := set(t, connecttest.Open(t, url())); err != nil {
			t.Error(err)
		}
		lines, err := os.ReadFile(started)
		if err != nil || strings.Count(string(lines), "\n") < want { // more if a port was taken
			t.Errorf("started %q, %v, want %d", lines, err, want)
		}
		_ = os.Remove(started)
	}
	f := &failing{TB: t}
	func() {
		defer func() { _ = recover() }()
		connecttest.NewServer(f, connecttest.WithProgram("no-such-server"))
	}()
	if !strings.Contains(f.said, "no-such-server is not installed") {
		t.Errorf("got %q", f.said)
	}
}

// The environment names the program of a whole suite.
func TestProgramOfTheEnvironment(t *testing.T) {
	t.Setenv("REDISHTTP_REDIS_SERVER", "no-such-server")
	if err := connecttest.Available(); err == nil || !strings.Contains(err.Error(), "no-such-server") {
		t.Errorf("got %v", err)
	}
	f := &failing{TB: t}
	func() {
		defer func() { _ = recover() }()
		connecttest.NewServer(f)
	}()
	if !strings.Contains(f.said, "no-such-server is not installed") {
		t.Errorf("got %q", f.said)
	}
}

// An option that the topology does not have fails the test.
func TestOptionsOfAnotherTopologyFail(t *testing.T) {
	for want, start := range map[string]func(testing.TB){
		"NewCluster: WithUnix":              func(t testing.TB) { connecttest.NewCluster(t, 0, connecttest.WithUnix()) },
		"NewSentinel: WithUnix":             func(t testing.TB) { connecttest.NewSentinel(t, connecttest.WithUnix()) },
		"NewServer: WithUnix and WithTLS":   func(t testing.TB) { connecttest.NewServer(t, connecttest.WithUnix(), connecttest.WithTLS()) },
		"NewServer: WithSentinelACL":        func(t testing.TB) { connecttest.NewServer(t, connecttest.WithSentinelACL("a", "b")) },
		"NewCluster: WithSentinelACL":       func(t testing.TB) { connecttest.NewCluster(t, 0, connecttest.WithSentinelTLS(), connecttest.WithTLS()) },
		"NewSentinel: WithSentinelTLS need": func(t testing.TB) { connecttest.NewSentinel(t, connecttest.WithSentinelTLS()) },
	} {
		f := &failing{TB: t}
		func() {
			defer func() { _ = recover() }()
			start(f)
		}()
		if !strings.HasPrefix(f.said, "connecttest: "+want) {
			t.Errorf("got %q, want %q", f.said, want)
		}
	}
}
