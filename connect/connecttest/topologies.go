//go:build unix

package connecttest

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Cluster is a Redis Cluster of three masters. A dead master is replaced after
// about two seconds if it has a replica. It is for one goroutine.
type Cluster struct {
	c    *redistest.ClusterServers
	seen wrappers
}

// NewCluster starts three masters with so many replicas each for one test.
func NewCluster(t testing.TB, replicasPerMaster int, opts ...Option) *Cluster {
	t.Helper()
	return &Cluster{redistest.NewCluster(t, replicasPerMaster, collect(t, cluster, opts).server...), wrappers{}}
}

// URL is the cluster in the grammar of package connect, with its secrets.
func (c *Cluster) URL() string { return c.c.Target().URL }

// Nodes are all servers; the first three were started as masters.
func (c *Cluster) Nodes() []*Server { return c.seen.all(c.c.Nodes) }

// Masters are the nodes that say they are masters now; dead and paused ones
// are not among them.
func (c *Cluster) Masters() []*Server { return c.seen.all(c.c.Masters()) }

// MasterOf is the master that has the key's slot. It reads no key: the key may be
// of any type, or not exist.
func (c *Cluster) MasterOf(t testing.TB, key string) *Server {
	t.Helper()
	return c.seen.of(c.c.MasterOf(t, key))
}

// SetClock sets the clocks of all nodes, see [Server.SetClock].
func (c *Cluster) SetClock(t testing.TB, d time.Duration) {
	t.Helper()
	for _, s := range c.c.Nodes {
		s.SetClock(t, d)
	}
}

// ReplicaOf is a replica of a master, nil if it has none.
func (c *Cluster) ReplicaOf(master *Server) *Server { return c.seen.of(c.c.ReplicaOf(master.s)) }

// Failover promotes the replica of a master in good order, waits until all
// nodes know, and returns the new master.
func (c *Cluster) Failover(t testing.TB, master *Server) *Server {
	t.Helper()
	return c.seen.of(c.c.Failover(t, master.s))
}

// Sentinel is a master with one replica, watched by three sentinels. A dead
// master is replaced after about two seconds. It is for one goroutine.
type Sentinel struct {
	s    *redistest.SentinelServers
	seen wrappers
}

// MasterName is the name under which the sentinels watch their master.
const MasterName = redistest.MasterName

// NewSentinel starts a master, a replica and three sentinels for one test.
func NewSentinel(t testing.TB, opts ...Option) *Sentinel {
	t.Helper()
	o := collect(t, sentinel, opts)
	all := append([]redistest.SentinelOption{redistest.WithData(o.server...)}, o.sentinel...)
	return &Sentinel{redistest.NewSentinel(t, all...), wrappers{}}
}

// URL is the master, to be asked of the sentinels, in the grammar of package
// connect, with its secrets.
func (s *Sentinel) URL() string { return s.s.Target().URL }

// Data are the servers with data; one of them is the master.
func (s *Sentinel) Data() []*Server { return s.seen.all(s.s.Data) }

// Sentinels are the three sentinels.
func (s *Sentinel) Sentinels() []*Server { return s.seen.all(s.s.Sentinels) }

// Master is the server that most sentinels call master, nil while they
// disagree.
func (s *Sentinel) Master() *Server { return s.seen.of(s.s.Master()) }

// Replicas are the servers that say they are replicas now; dead and paused ones
// are not among them.
func (s *Sentinel) Replicas() []*Server { return s.seen.all(s.s.Replicas()) }

// SetClock sets the clocks of the servers with data, see [Server.SetClock].
func (s *Sentinel) SetClock(t testing.TB, d time.Duration) {
	t.Helper()
	for _, server := range s.s.Data {
		server.SetClock(t, d)
	}
}

// Failover has the sentinels promote the replica in good order, waits until
// they and both servers agree, and returns the new master.
func (s *Sentinel) Failover(t testing.TB) *Server {
	t.Helper()
	return s.seen.of(s.s.Failover(t))
}

// WaitPromoted waits until another server than old is master, for all sentinels
// and for itself, and returns it.
func (s *Sentinel) WaitPromoted(t testing.TB, old *Server) *Server {
	t.Helper()
	return s.seen.of(s.s.WaitPromoted(t, old.s))
}
