// Package clientip finds the address of an HTTP client behind reverse proxies,
// so that the client cannot choose it. It needs no Redis.
//
//	resolver, err := clientip.New(clientip.Config{
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//	})
//	…
//	addr, ok := resolver.Addr(r)
//
// # What is trusted
//
// By default nothing but the connection: [Peer] and the zero [Config] ignore all
// headers. A header counts only if the connection comes from one of
// [Config.TrustedProxies], or over a unix socket that is trusted.
//
// A list, such as X-Forwarded-For or Forwarded (RFC 7239), is read from the right.
// Each proxy appends the address that it got the request from, so the rightmost
// entry is the word of the nearest proxy. As long as an entry is the address of a
// trusted proxy, the next one to its left is that proxy's word; the first address
// that is not trusted is the client's. What a client sends itself stands to the left
// of that and is never read.
//
// An entry that cannot be read ends the search. The address is then that of the
// proxy to its right, and ok is false: what stands to the left may be forged.
//
// With [Config.Single] the header holds one address, which the proxy sets and
// does not append to: CF-Connecting-IP, Fly-Client-IP, X-Real-IP.
//
// # What identifies a client
//
// A host with IPv6 usually has a whole /64 network, and can use any address in it.
// [Resolver.Prefix] returns the network that stands for one client: /32 for IPv4 and
// /64 for IPv6 unless [Config.V4Bits] and [Config.V6Bits] say otherwise. Use it as
// the key of counters and bans, as package ratelimit does.
//
// # Limitations
//
// It reads no PROXY protocol; the listener must put that address into
// r.RemoteAddr. It must run before a middleware that overwrites r.RemoteAddr with a
// header.
package clientip
