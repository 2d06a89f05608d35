package connect

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// clientOptions are the options that FromClient takes: a client that exists
// cannot be changed.
var clientOptions = []string{"WithName", "WithLogger", "WithPrefix", "WithBatching", "WithCloseClient"}

// FromClient makes a connection from a go-redis client: a [*redis.Client], also
// one of [redis.NewFailoverClient], or a [*redis.ClusterClient]; any other type
// and nil are mistakes. Use it where a program has a client already and wants
// what takes a Conn, such as the admin panel, [Conn.Health], [Conn.Nodes],
// [Conn.HealthHandler] or [Conn.Batched].
//
// It takes [WithName], [WithLogger], [WithPrefix], [WithBatching] and
// [WithCloseClient]; other options are mistakes, because the client is made. It
// does not dial and adds no hook. A client that ignores deadlines is logged
// once.
//
// The client keeps its own behavior. It lacks what package connect adds:
//
//   - no breaker: calls to a Redis that is down each wait for their timeout;
//   - errors are go-redis' own, which [ErrUnavailable] does not match and which
//     hide why a dial failed;
//   - calls after [Conn.Close] and calls in flight are not counted, and the
//     breaker and dial figures of [Stats] stay 0;
//   - deadlines of contexts hold only with ContextTimeoutEnabled, and commands
//     are retried as often as MaxRetries says, 3 times by default;
//   - the sentinels of a failover client are not known: [Conn.Nodes] shows the
//     master and its replicas.
func FromClient(rdb redis.UniversalClient, opts ...Option) (*Conn, error) {
	s := record(opts)
	m := s.check()
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		m.That(slices.Contains(clientOptions, opt.name()), opt.name(), "has no effect on a client that is made already")
		opt.apply(s)
	}
	m.That(s.name != "", "WithName", "is empty")
	m.That(s.logger != nil, "WithLogger", "is nil")
	m.That(s.BatchAbove >= -1, "WithBatching", "is below -1")
	one := s.describe(rdb, m)
	if err := m.Err(); err != nil {
		return nil, err
	}
	s.setDefaults()
	c := newConn(s)
	c.client, c.foreign, c.closeClient = rdb, true, s.closeClient
	c.direct = one
	if !bounded.New(rdb).HonorsDeadlines() {
		s.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled", slog.String("conn", s.name))
	}
	return c, nil
}

// failoverAddr is what go-redis calls the address of a failover client.
const failoverAddr = "FailoverClient"

// describe fills in the configuration from what a client says of itself, and
// returns what makes the options for one of its servers.
func (s *settings) describe(rdb redis.UniversalClient, m *setting.Check) func(addr string) *redis.Options {
	var node redis.Options
	switch c := rdb.(type) {
	case *redis.Client:
		if c == nil {
			m.Fail("rdb", "is nil")
			return nil
		}
		node = *c.Options()
		switch {
		case node.Addr == failoverAddr:
			s.Mode = Sentinel
		case node.Network == "unix":
			s.Socket = node.Addr
		default:
			s.Addrs = []string{node.Addr}
		}
	case *redis.ClusterClient:
		if c == nil {
			m.Fail("rdb", "is nil")
			return nil
		}
		s.Mode, s.Addrs = Cluster, slices.Clone(c.Options().Addrs)
		carry(c.Options(), &node)
	default:
		m.That(!bounded.IsNil(rdb), "rdb", "is nil")
		m.That(bounded.IsNil(rdb), "rdb", "is %T: use a *redis.Client or a *redis.ClusterClient", rdb)
		return nil
	}
	s.DB, s.Username, s.ClientName, s.UseTLS = node.DB, node.Username, node.ClientName, node.TLSConfig != nil
	s.PoolSize, s.Retries, s.Protocol = node.PoolSize, node.MaxRetries, node.Protocol
	s.Timeouts = Timeouts{Dial: node.DialTimeout, Read: node.ReadTimeout, Write: node.WriteTimeout, Pool: node.PoolTimeout}
	return func(addr string) *redis.Options { return oneServer(node, addr) }
}

// directPool is the pool size of a client for an operator's page.
const directPool = 2

// oneServer returns options for one server of a client with these options.
func oneServer(o redis.Options, addr string) *redis.Options {
	if o.Addr == failoverAddr {
		if addr != "" {
			o.Dialer = nil // it dials the master, whatever the address
		}
	}
	if addr != o.Addr && addr != "" {
		o.Network, o.Addr = "tcp", addr
		if strings.HasPrefix(addr, "/") {
			o.Network = "unix"
		}
	}
	if o.MaxRetries == 0 { // go-redis reads 0 as its default
		o.MaxRetries = -1
	}
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.PoolSize, o.MinIdleConns, o.MaxActiveConns, o.MaxIdleConns = directPool, 0, 0, 0
	return &o
}

// isFailoverClient reports whether the connection is a failover client of the
// user's, whose sentinels are not known.
func (c *Conn) isFailoverClient() bool { return c.foreign && c.config.Mode == Sentinel }

// failoverMaster is the address at which the master of a failover client
// accepted the connection, or go-redis' name of it if the master does not tell.
func (c *Conn) failoverMaster(ctx context.Context) string {
	if info, err := c.client.ClientInfo(ctx).Result(); err == nil && info.LAddr != "" {
		return info.LAddr
	}
	return failoverAddr
}
