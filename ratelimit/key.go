package ratelimit

import (
	"net/http"
	"net/netip"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/internal/keypart"
)

// KeyFunc returns the key that a request is counted against. An error, or an
// empty key, rejects the request with 500: it never means "unlimited".
type KeyFunc func(*http.Request) (string, error)

// sharedKey is the key of all requests without an address.
const sharedKey = "unix"

// RemoteAddr is the KeyFunc of the connection's own address, IPv6 by /64. It
// trusts no header. Requests without an address, as over a unix socket, share
// the key "unix", which [Limiter.Handler] logs once a minute.
func RemoteAddr(r *http.Request) (string, error) {
	addr := clientip.Peer(r)
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // not valid for no address
	return addressKey(p), nil
}

// ByIP returns a KeyFunc of the client's address, or for IPv6 its network, as
// the resolver finds it: see [clientip.Resolver.Prefix]. Use it behind proxies. The
// key of a request without any address is "unix". A nil resolver is
// [RemoteAddr].
func ByIP(resolver *clientip.Resolver) KeyFunc {
	if resolver == nil {
		return RemoteAddr
	}
	return func(r *http.Request) (string, error) { return addressKey(resolver.Prefix(r)), nil }
}

func addressKey(p netip.Prefix) string {
	if !p.IsValid() {
		return sharedKey
	}
	return p.String()
}

// Join makes one key of several parts, so that no two lists of parts make the
// same key: an API key and a route, a user and an address.
func Join(parts ...string) string { return keypart.Join(parts...) }
