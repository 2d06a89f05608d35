package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// sentinelTimeout bounds each question to the sentinels: there are others to ask.
const sentinelTimeout = 300 * time.Millisecond

// masterAddr asks the configured sentinels for the master, one after the other,
// until one of them knows it.
func (c *Conn) masterAddr(ctx context.Context) (string, error) {
	errs := []error{errors.New("no sentinel knows the master")}
	for _, addr := range c.config.Addrs {
		sentinel := c.sentinel(addr)
		reply, err := sentinel.GetMasterAddrByName(ctx, c.config.Master).Result()
		_ = sentinel.Close()
		if err == nil && len(reply) == 2 {
			return net.JoinHostPort(reply[0], reply[1]), nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// sentinel makes a client for one sentinel. The caller closes it.
func (c *Conn) sentinel(addr string) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{
		Addr: addr, Username: c.config.SentinelUsername, Password: string(c.config.SentinelPassword),
		Dialer: c.dialer, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, ContextTimeoutEnabled: true,
		DialTimeout: sentinelTimeout, ReadTimeout: sentinelTimeout, WriteTimeout: sentinelTimeout,
		ClientName:      c.config.ClientName,
		DisableIdentity: c.config.LibraryName == "", IdentitySuffix: c.config.LibraryName,
	})
}

// masterNetwork is a network of our own, beside "tcp" and "unix": the data node
// that the sentinels name. The dial hook dials it. go-redis passes the network on
// to the dialer of the data node alone. A value in the context would not do: with
// the context of that dial go-redis connects to the sentinels as well, to ask them
// and to subscribe.
const masterNetwork = "redis-master"

// sentinelDialer dials data nodes and sentinels, each with its own TLS settings.
func (c *Conn) sentinelDialer(s *settings) dialFunc {
	plain := (&net.Dialer{Timeout: s.Timeouts.Dial, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3,
	}})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		t := s.sentinels
		switch {
		case network == masterNetwork:
			network, t = "tcp", s.node.TLSConfig
			c.dials.masterAddr.Store(&addr)
		case s.SentinelPlain && !slices.Contains(s.Addrs, addr):
			t = s.node.TLSConfig // a sentinel that uses TLS itself announces its TLS port to the others
		}
		switch {
		case s.node.Dialer != nil:
			return secured(s.node.Dialer, t)(ctx, network, addr)
		case t == nil:
			return plain.DialContext(ctx, network, addr)
		}
		return (&tls.Dialer{NetDialer: plain, Config: t}).DialContext(ctx, network, addr)
	}
}
