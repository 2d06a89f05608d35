package connect

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// open makes the client of the topology, with its hooks: the user's see every
// call, then the gate, the cluster's, the breaker, and last the dials.
func (s *settings) open(name string, t, sentinelTLS *tls.Config) (*Conn, error) {
	c := &Conn{name: name, logger: s.logger, dials: &dials{sentinel: s.Mode == Sentinel},
		circuits: map[string]*circuit{}, closed: make(chan struct{})}
	c.gate = newGate(c)
	c.life, c.end = context.WithCancel(context.Background())
	if s.Mode == Embedded {
		server, err := s.embedded()
		if err != nil {
			return nil, fmt.Errorf("connect: %s: embedded server: %w", name, err)
		}
		s.Addrs, s.Username, s.Password = []string{server.Addr()}, "", Secret(server.Password())
		c.stop = server.Close
	}
	c.config = &s.Config
	c.direct = s.direct(t)
	switch s.Mode {
	case Cluster:
		cluster := redis.NewClusterClient(s.clusterOptions(t))
		c.client = cluster
		s.addHooks(c, &clusterHook{reload: cluster.ReloadState, once: s.Retries == 0})
		cluster.OnNewNode(func(node *redis.Client) {
			node.AddHook(c.newCircuit(node.Options().Addr))
			node.AddHook(c.dials)
		})
	case Sentinel:
		c.dialer = c.sentinelDialer(s, t, sentinelTLS)
		c.client = redis.NewFailoverClient(s.failoverOptions(c.dialer))
		s.addHooks(c, c.newCircuit(""), c.dials)
	default:
		c.client = redis.NewClient(s.options(t))
		s.addHooks(c, c.newCircuit(""), c.dials)
	}
	return c, nil
}

func (s *settings) addHooks(c *Conn, ours ...redis.Hook) {
	for _, h := range s.hooks {
		c.client.AddHook(h)
	}
	c.client.AddHook(c.gate)
	for _, h := range ours {
		c.client.AddHook(h)
	}
}
