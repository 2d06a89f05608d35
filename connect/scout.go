package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	scoutPause   = 100 * time.Millisecond
	scoutTimeout = 300 * time.Millisecond
)

// scout looks for news while a breaker is open, so that a failover ends the
// outage and not the breaker's clock: it reads a cluster's topology again, or
// asks the sentinels whether there is another master. Refused calls send it
// out, at most every 100 ms; it never runs without traffic.
type scout struct {
	last atomic.Int64 // when it was sent last, on the monotonic clock
	busy atomic.Bool
}

var start = time.Now()

// refused is called for each call that an open breaker refuses.
func (c *Conn) refused(b *circuit) {
	now := int64(time.Since(start))
	last := c.scout.last.Load()
	if now-last < int64(scoutPause) && last != 0 || !c.scout.last.CompareAndSwap(last, now) {
		return
	}
	switch rdb := c.client.(type) {
	case *redis.ClusterClient:
		rdb.ReloadState(c.life) // go-redis does one at a time, in its own goroutine
	case *redis.Client:
		if c.config.Mode == Sentinel && c.scout.busy.CompareAndSwap(false, true) {
			c.background.Go(func() {
				defer c.scout.busy.Store(false)
				ctx, cancel := context.WithTimeout(c.life, scoutTimeout)
				defer cancel()
				if addr, err := c.masterAddr(ctx); err == nil && addr != c.dials.master() {
					b.HalfOpen()
				}
			})
		}
	}
}

// masterAddr asks the configured sentinels for the master, one after the
// other.
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

// sentinel makes a client for one sentinel, to be closed by the caller.
func (c *Conn) sentinel(addr string) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{
		Addr: addr, Username: c.config.SentinelUsername, Password: string(c.config.SentinelPassword),
		Dialer: c.dialer, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, ContextTimeoutEnabled: true,
		DialTimeout: scoutTimeout, ReadTimeout: scoutTimeout, WriteTimeout: scoutTimeout,
		DisableIdentity: true, ClientName: c.config.ClientName,
	})
}

// dataNetwork is what the dial hook of a sentinel connection makes of "tcp".
// go-redis hands the network of the caller on to the dialer, but not to that
// of the sentinels it asks in between; so the dialer can tell them apart.
const dataNetwork = "tcp data"

// sentinelDialer dials data nodes and sentinels, each with its own TLS.
func (c *Conn) sentinelDialer(s *settings) dialFunc {
	plain := (&net.Dialer{Timeout: s.Timeouts.Dial, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		t := s.sentinels
		switch {
		case network == dataNetwork:
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
