package connect

import (
	"crypto/tls"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// open makes the client of the topology, with its hooks.
func (s *settings) open(name string, t *tls.Config) (*Conn, error) {
	c := &Conn{name: name, dials: &dials{}, closed: make(chan struct{})}
	if s.Mode == Embedded {
		server, err := s.embedded()
		if err != nil {
			return nil, fmt.Errorf("connect: %s: embedded server: %w", name, err)
		}
		s.Addrs, s.Username, s.Password = []string{server.Addr()}, "", Secret(server.Password())
		c.stop = server.Close
	}
	c.config = s.Config
	switch s.Mode {
	case Cluster:
		cluster := redis.NewClusterClient(s.clusterOptions(t))
		cluster.OnNewNode(c.remember)
		cluster.AddHook(&clusterHook{reload: cluster.ReloadState, once: s.Retries == 0})
		c.client = cluster
	case Sentinel:
		client := redis.NewFailoverClient(s.failoverOptions(t))
		c.remember(client)
		c.client = client
	default:
		client := redis.NewClient(s.options(t))
		c.remember(client)
		c.client = client
	}
	for _, h := range s.hooks {
		c.client.AddHook(h)
	}
	return c, nil
}
