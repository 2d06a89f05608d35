//go:build unix

package redistest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

const slots = 16384

// ClusterServers is a Redis Cluster of three masters.
type ClusterServers struct {
	Nodes []*Server // the three first were started as masters
}

// NewCluster starts three masters with so many replicas each for one test,
// every server with opts; all of them share one authority. It takes two
// seconds, a constant in Redis.
func NewCluster(t testing.TB, replicasPerMaster int, opts ...ServerOption) *ClusterServers {
	t.Helper()
	c, err := newCluster(replicasPerMaster, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

func newCluster(replicas int, opts ...ServerOption) (*ClusterServers, error) {
	const masters = 3
	c := &ClusterServers{}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := c.build(ctx, masters, replicas, opts); err != nil {
		c.stop()
		return nil, fmt.Errorf("redistest: cluster: %w", err)
	}
	return c, nil
}

func (c *ClusterServers) build(ctx context.Context, masters, replicas int, opts []ServerOption) error {
	opts = append(slices.Clone(opts), func(s *Server) {
		s.cluster = true
		if s.certs != nil && len(c.Nodes) > 0 {
			s.certs = c.Nodes[0].certs
		}
		if len(c.Nodes) > 0 {
			s.library = c.Nodes[0].library
		}
	})
	for range masters * (1 + replicas) {
		s, err := newServer(opts...)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, s)
	}
	if err := c.meet(ctx, masters); err != nil {
		return err
	}
	if err := c.waitNodes(ctx); err != nil {
		return err
	}
	for i, s := range c.Nodes[masters:] {
		id, err := c.Nodes[i%masters].do(ctx, "cluster", "myid")
		if err != nil {
			return err
		}
		if _, err := s.do(ctx, "cluster", "replicate", id); err != nil {
			return err
		}
	}
	return c.waitReady(ctx, masters)
}

// meet gives the masters their slots, and tells each node of those before it.
func (c *ClusterServers) meet(ctx context.Context, masters int) error {
	for i, s := range c.Nodes {
		if i < masters {
			if _, err := s.do(ctx, "cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1); err != nil {
				return err
			}
		}
		if _, err := s.do(ctx, "cluster", "set-config-epoch", i+1); err != nil {
			return err
		}
		for _, other := range c.Nodes[:i] {
			if _, err := s.do(ctx, "cluster", "meet", "127.0.0.1", other.port); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitNodes waits until every node knows every other.
func (c *ClusterServers) waitNodes(ctx context.Context) error {
	return poll(ctx, func() bool {
		for _, s := range c.Nodes {
			nodes, err := s.do(ctx, "cluster", "nodes")
			text, _ := nodes.(string)
			if err != nil || strings.Count(text, "connected") < len(c.Nodes) || strings.Contains(text, "handshake") {
				return false
			}
		}
		return true
	})
}

// waitReady waits until every node serves and every replica follows and is
// known as one by all.
func (c *ClusterServers) waitReady(ctx context.Context, masters int) error {
	return poll(ctx, func() bool {
		for i, s := range c.Nodes {
			info, err := s.do(ctx, "cluster", "info")
			if text, _ := info.(string); err != nil || infoField(text, "cluster_state") != "ok" {
				return false
			}
			nodes, err := s.do(ctx, "cluster", "nodes")
			if text, _ := nodes.(string); err != nil || strings.Count(text, "slave") != len(c.Nodes)-masters {
				return false
			}
			if i < masters {
				continue
			}
			info, err = s.do(ctx, "info", "replication")
			if text, _ := info.(string); err != nil || infoField(text, "master_link_status") != "up" {
				return false
			}
		}
		return true
	})
}

// Target is the cluster for clients.
func (c *ClusterServers) Target() *Target {
	first := c.Nodes[0]
	u := first.url()
	u.Scheme, u.Host, u.Path = u.Scheme+"+cluster", authority(c.Nodes), ""
	return &Target{
		Name: "cluster",
		URL:  u.String(),
		opts: redis.UniversalOptions{Addrs: addrs(c.Nodes), IsClusterMode: true, Username: first.user, Password: first.pass, TLSConfig: first.TLSConfig()},
	}
}

// Masters are the nodes that say they are masters; dead and paused ones are
// not among them.
func (c *ClusterServers) Masters() []*Server { return withRole(c.Nodes, "master") }

// MasterOf is the master that serves key's slot, as it says itself. It reads no
// key, so any type will do.
func (c *ClusterServers) MasterOf(t testing.TB, key string) *Server {
	t.Helper()
	var found *Server
	Eventually(t, startTimeout, func() bool {
		for _, s := range c.Nodes {
			if s.serves(key) {
				found = s
				return true
			}
		}
		return false
	}, "no master serves the slot of %q", key)
	return found
}

// serves reports whether the server says that it is the master of key's slot, in
// a cluster that is well.
func (s *Server) serves(key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	pipe := rdb.Pipeline()
	slot, info, nodes := pipe.ClusterKeySlot(ctx, key), pipe.ClusterInfo(ctx), pipe.ClusterNodes(ctx)
	if _, err := pipe.Exec(ctx); err != nil || infoField(info.Val(), "cluster_state") != "ok" {
		return false
	}
	for line := range strings.Lines(nodes.Val()) {
		// id addr flags master ping pong epoch link slot…
		if f := strings.Fields(line); len(f) > 8 && strings.Contains(f[2], "myself,master") {
			return holds(f[8:], int(slot.Val()))
		}
	}
	return false
}

// holds reports whether slot is in one of the ranges, like 0-5460 or 7; what is
// in brackets is about to move.
func holds(ranges []string, slot int) bool {
	for _, r := range ranges {
		first, last, several := strings.Cut(r, "-")
		if !several {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil && from <= slot && slot <= to {
			return true
		}
	}
	return false
}

// ReplicaOf is a replica of master, nil if it has none.
func (c *ClusterServers) ReplicaOf(master *Server) *Server {
	for _, s := range withRole(c.Nodes, "slave") {
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		info, err := s.do(ctx, "info", "replication")
		cancel()
		if text, _ := info.(string); err == nil && infoField(text, "master_port") == strconv.Itoa(master.port) {
			return s
		}
	}
	return nil
}

// Failover promotes a replica of master in good order, and waits until both
// have changed roles and the old master follows the new one.
func (c *ClusterServers) Failover(t testing.TB, master *Server) *Server {
	t.Helper()
	replica := c.ReplicaOf(master)
	if replica == nil {
		t.Fatal("redistest: the master has no replica to promote")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := replica.do(ctx, "cluster", "failover"); err != nil {
		t.Fatal(err)
	}
	// A demoted master that has not caught up yet could not be promoted again.
	Eventually(t, startTimeout, func() bool {
		return role(replica) == "master" && role(master) == "slave" && linked(ctx, master)
	}, "the replica was not promoted")
	return replica
}

func (c *ClusterServers) stop() {
	var wg sync.WaitGroup
	for _, s := range c.Nodes {
		wg.Go(func() { s.proc.kill(); _ = os.RemoveAll(s.dir) })
	}
	wg.Wait()
}
