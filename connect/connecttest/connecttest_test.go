//go:build unix

package connecttest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
)

const patience = 20 * time.Second

func set(t *testing.T, c *connect.Conn) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return c.Client().Set(ctx, "k", "v", time.Minute).Err()
}

func TestTopologies(t *testing.T) {
	if err := connecttest.Available(); err != nil {
		t.Fatal(err)
	}
	acl := connecttest.WithACL("alice", "s3cr/t#@")
	for name, url := range map[string]func() string{
		"standalone": func() string { return connecttest.NewServer(t).URL() },
		"unix":       func() string { return connecttest.NewServer(t, connecttest.WithUnix(), nil).URL() },
		"secured":    func() string { return connecttest.NewServer(t, connecttest.WithTLS(), acl).URL() },
		"cluster":    func() string { return connecttest.NewCluster(t, 0, connecttest.WithTLS(), acl).URL() },
		"sentinel": func() string {
			return connecttest.NewSentinel(t, connecttest.WithTLS(), acl, connecttest.WithSentinelTLS(), connecttest.WithSentinelACL("w", "x")).URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			connecttest.NoLeaks(t)
			c := connecttest.Open(t, url())
			var err error
			connecttest.Eventually(t, patience, func() bool { // on a busy machine a cluster may lose a node for a moment
				err = set(t, c)
				return err == nil || !strings.Contains(err.Error(), "CLUSTERDOWN")
			}, "the cluster stays down")
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFailovers(t *testing.T) {
	t.Parallel()
	cluster := connecttest.NewCluster(t, 1)
	c := connecttest.Open(t, cluster.URL())
	old := cluster.MasterOf(t, "k")
	replica := cluster.ReplicaOf(old)
	if now := cluster.Failover(t, old); now != replica || len(cluster.Masters()) != 3 || len(cluster.Nodes()) != 6 {
		t.Errorf("cluster: got %v, want the replica", now)
	}
	connecttest.Eventually(t, patience, func() bool { return set(t, c) == nil }, "no writes after the cluster's failover")

	sentinel := connecttest.NewSentinel(t)
	c = connecttest.Open(t, sentinel.URL())
	old = sentinel.Master()
	if now := sentinel.Failover(t); now == old || now != sentinel.Master() {
		t.Errorf("sentinel: the master is still %v", now)
	}
	connecttest.Eventually(t, patience, func() bool { return set(t, c) == nil }, "no writes after the sentinels' failover")
	if len(sentinel.Data()) != 2 || len(sentinel.Sentinels()) != 3 {
		t.Error("wrong number of servers")
	}
	old = sentinel.Master()
	connecttest.Eventually(t, patience, func() bool { return old.Client(t).Info(t.Context(), "replication").Err() == nil }, "the master is silent")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := connecttest.NewServer(t, connecttest.WithArgs("--maxmemory", "100mb"))
	if got := s.Client(t).ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"]; got != "104857600" {
		t.Errorf("WithArgs: maxmemory is %s", got)
	}
	c := connecttest.Open(t, s.URL(), connect.WithTimeouts(connect.Timeouts{Read: 200 * time.Millisecond}))
	for name, fault := range map[string]struct{ do, undo func() }{
		"kill":  {s.Kill, func() { s.Restart(t) }},
		"pause": {s.Pause, s.Resume},
	} {
		fault.do()
		if set(t, c) == nil {
			t.Errorf("%s: no error", name)
		}
		fault.undo()
		connecttest.Eventually(t, patience, func() bool { return set(t, c) == nil }, "%s: does not come back", name)
	}
	p := connecttest.NewProxy(t, s.Addr())
	c = connecttest.Open(t, "redis://"+p.Addr(), connect.WithTimeouts(connect.Timeouts{Read: 200 * time.Millisecond}))
	for name, fault := range map[string]func(){
		"mute": p.Mute, "swallow": p.SwallowReplies, "reset": func() { p.ResetMidReply(1) }, "refuse": p.Refuse, "delay": func() { p.Delay(time.Second) },
	} {
		fault()
		if set(t, c) == nil {
			t.Errorf("%s: no error", name)
		}
		p.Heal()
		p.CloseConns()
		connecttest.Eventually(t, patience, func() bool { return set(t, c) == nil }, "%s: does not heal", name)
	}
}

// Users need no TestMain: when the last server has ended nothing is left.
func TestNothingIsLeftOnDisk(t *testing.T) {
	var socket string
	t.Run("a test", func(t *testing.T) {
		s := connecttest.NewServer(t, connecttest.WithUnix())
		socket = s.Addr()
	})
	base := filepath.Dir(filepath.Dir(socket))
	if !strings.Contains(base, "redistest-") {
		t.Fatalf("unexpected place %s", base)
	}
	if _, err := os.Stat(base); !os.IsNotExist(err) {
		t.Errorf("%s: got %v, want it gone", base, err)
	}
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err == nil {
		t.Error("the server is still there")
	}
	if err := set(t, connecttest.Open(t, connecttest.NewServer(t).URL())); err != nil {
		t.Errorf("a server after the last: %v", err)
	}
}
