package clientip

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Peer returns the address of the connection itself, without a zone, and as
// IPv4 if it is an IPv4-mapped one. No header counts. It is not valid if the
// connection has no address, as over a unix socket.
func Peer(r *http.Request) netip.Addr {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return plain(peer.Addr())
	}
	addr, _ := parseHop(r.RemoteAddr) // httptest and some servers leave the port out
	return addr
}

// overUnix reports whether a request came over a unix socket. A RemoteAddr
// without an address is not enough where the server knows better: a middleware
// may have written into it what a client sent.
func overUnix(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return strings.HasPrefix(local.Network(), "unix")
	}
	return r.RemoteAddr == "" || r.RemoteAddr[0] == '@'
}
