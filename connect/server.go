package connect

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Server makes a client for one server that [Conn.Nodes] lists, master or
// replica, that bypasses the connection's pool, breaker and redirects, to ask
// that server about itself. Its pool has two connections. For an address that
// Nodes does not list the error matches [ErrUnknown], so the address may come
// from a request; the same holds for sentinels. It asks Nodes first, and is for
// operators. The caller closes the client.
func (c *Conn) Server(ctx context.Context, addr string) (*redis.Client, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.Addr == addr && n.Role != "sentinel" {
			if c.isFailoverClient() && n.Role == "master" {
				addr = "" // by the client's own dialer, which finds the master
			}
			return redis.NewClient(c.direct(addr)), nil
		}
	}
	return nil, fmt.Errorf("connect: server of %s: %w", c.name, ErrUnknown)
}

// direct returns what makes the options for one server.
func (s *settings) direct() func(addr string) *redis.Options {
	return func(addr string) *redis.Options {
		o := s.options()
		if s.Mode == Embedded {
			o.Username, o.Password = s.node.Username, s.node.Password
		}
		if addr != s.Socket {
			o.Network, o.Addr = "tcp", addr
		}
		s.changed(o)
		if s.Mode != Cluster && addr != s.Socket { // there it may translate addresses
			o.Network, o.Addr = "tcp", addr
		}
		o.Dialer = secured(o.Dialer, o.TLSConfig)
		o.PoolSize, o.MinIdleConns, o.MaxActiveConns = directPool, 0, 0
		return o
	}
}
