package connect

import (
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// open makes the client of the topology with its hooks. From outside to inside:
// the user's, which see every call, the gate, the cluster's, the breaker, and
// last the dials.
func (s *settings) open() (*Conn, error) {
	c := newConn(s)
	if s.Mode == Embedded {
		server, err := s.embedded()
		if err != nil {
			return nil, fmt.Errorf("connect: %s: embedded server: %w", s.name, err)
		}
		s.Addrs = []string{server.Addr()}
		s.node.Network, s.node.Addr, s.node.Username, s.node.Password = "tcp", server.Addr(), "", server.Password()
		c.stop = server.Close
	}
	c.direct = s.direct()
	if s.SkipVerify {
		s.logger.Warn("certificates are not verified: any server can pose as redis", slog.String("conn", s.name))
	}
	switch s.Mode {
	case Cluster:
		cluster := redis.NewClusterClient(s.clusterOptions())
		c.client = cluster
		s.addHooks(c, &clusterHook{reload: cluster.ReloadState})
		cluster.OnNewNode(func(node *redis.Client) {
			for _, h := range s.hooks {
				node.AddHook(dialOnly{h})
			}
			if s.Retries > 0 {
				node.AddHook(retryHook{})
			}
			node.AddHook(c.newCircuit(node.Options().Addr))
			node.AddHook(c.dials)
		})
	case Sentinel:
		c.dialer = c.sentinelDialer(s)
		c.client = redis.NewFailoverClient(s.failoverOptions(c.dialer))
		s.addHooks(c, c.newCircuit(""), c.dials)
	default:
		c.client = redis.NewClient(s.nodeOptions(""))
		s.addHooks(c, c.newCircuit(""), c.dials)
	}
	return c, nil
}

// addHooks adds the user's hooks, the gate and ours, from outside to inside.
func (s *settings) addHooks(c *Conn, ours ...redis.Hook) {
	for _, h := range s.hooks {
		c.client.AddHook(h)
	}
	c.client.AddHook(c.gate)
	for _, h := range ours {
		c.client.AddHook(h)
	}
}
