package ratelimit

import (
	"net/http"
	"net/netip"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/internal/keypart"
)

// KeyFunc returns the key that a request is counted against: an address, a user,
// an API key. Keys are hashed before they reach Redis, so their length and their
// bytes do not matter. If it returns an error or an empty key, the request gets
// 500, or the next KeyFunc of [WithKey] is called: it never means "unlimited".
type KeyFunc func(*http.Request) (string, error)

// sharedKey is the key of all requests without an address.
const sharedKey = "unix"

// ByIP returns a KeyFunc of the client's address, or for IPv6 its network, as
// the resolver finds it: see [clientip.Resolver.Prefix]. Use it behind proxies.
//
// ByIP(nil) is the default of [WithKey]: the connection's own address, IPv6 by
// /64, no header trusted. Requests without any address, as over a unix socket,
// share the key "unix", which [Limiter.Handler] logs once a minute.
func ByIP(resolver *clientip.Resolver) KeyFunc {
	if resolver == nil {
		return byPeer
	}
	return func(r *http.Request) (string, error) { return addressKey(resolver.Prefix(r)), nil }
}

// byPeer is ByIP(nil).
func byPeer(r *http.Request) (string, error) {
	addr := clientip.Peer(r)
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // not valid without an address
	return addressKey(p), nil
}

// addressKey returns the key of a network, which is the same for each way to find it,
// so that counters are kept when a resolver is added.
func addressKey(p netip.Prefix) string {
	if !p.IsValid() {
		return sharedKey
	}
	return p.String()
}

// Join returns one key of several parts, such as a user and a route, so that no
// two different lists of parts have the same key. Use it in a [KeyFunc] instead of
// a separator, which a client could put into a part.
func Join(parts ...string) string { return keypart.Join(parts...) }
