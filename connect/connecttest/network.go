//go:build unix

package connecttest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Network stands between a connection and the servers of a topology, with a
// [Proxy] for each of them: faults of the network for clients that learn their
// addresses from Redis, like those of Cluster and Sentinel. It starts healthy.
type Network struct{ proxies map[string]*Proxy }

// NewNetwork starts a proxy in front of each server for one test: all nodes of
// a cluster, or the data nodes and the sentinels, or one server, also on a unix
// socket or with TLS.
//
//	network := connecttest.NewNetwork(t, cluster.Nodes()...)
//	conn := connecttest.Open(t, cluster.URL(), network.Option())
//	network.To(cluster.MasterOf(t, "order:1")).SwallowReplies()
func NewNetwork(t testing.TB, servers ...*Server) *Network {
	t.Helper()
	n := &Network{map[string]*Proxy{}}
	for _, s := range servers {
		n.proxies[s.Addr()] = &Proxy{redistest.NewProxy(t, s.Addr())}
	}
	return n
}

// Option has a connection go through the network. Other connections, and the
// servers among themselves, pass it by.
func (n *Network) Option() connect.Option { return connect.WithDialer(n.Dial) }

// Dial reaches a server through its proxy, and others as they are. It is for
// clients that connect did not make.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if p := n.proxies[addr]; p != nil {
		network, addr = "tcp", p.Addr()
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// To is the proxy in front of a server, nil if it is not in the network.
func (n *Network) To(s *Server) *Proxy { return n.proxies[s.Addr()] }

// Mute lets nothing pass to any server, see [Proxy.Mute].
func (n *Network) Mute() { n.each((*Proxy).Mute) }

// SwallowReplies loses the replies of all servers, see [Proxy.SwallowReplies].
func (n *Network) SwallowReplies() { n.each((*Proxy).SwallowReplies) }

// Delay holds each reply of all servers back, see [Proxy.Delay].
func (n *Network) Delay(d time.Duration) { n.each(func(p *Proxy) { p.Delay(d) }) }

// Refuse has all servers look down, see [Proxy.Refuse].
func (n *Network) Refuse() { n.each((*Proxy).Refuse) }

// Heal ends every fault of all servers.
func (n *Network) Heal() { n.each((*Proxy).Heal) }

// CloseConns closes the open connections to all servers.
func (n *Network) CloseConns() { n.each((*Proxy).CloseConns) }

func (n *Network) each(do func(*Proxy)) {
	for _, p := range n.proxies {
		do(p)
	}
}
