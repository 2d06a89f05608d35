package clientip

import (
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/redishttp/redishttp/internal/forwarded"
	"github.com/redishttp/redishttp/internal/setting"
)

// Config says how to find the client's address behind proxies. The zero value
// trusts no header.
type Config struct {
	// TrustedProxies are the networks of your own proxies. Headers count only
	// when the connection comes from one of them. The default is none.
	TrustedProxies []netip.Prefix
	// Header is the name of the header in which your proxies append addresses:
	// X-Forwarded-For by default, or Forwarded (RFC 7239), which is read by its
	// grammar.
	Header string
	// Single says that Header holds one address, set by a proxy that removes
	// the client's own: CF-Connecting-IP, Fly-Client-IP, X-Real-IP, or a
	// Forwarded of one element. Several lines or values make it unreadable. The
	// default is false: a list.
	Single bool
	// V4Bits and V6Bits are the prefix lengths that identify a client, for
	// [Resolver.Prefix]. 0 means the default: 32 and 64, because an IPv6 host
	// usually has a whole /64. Use 56 or 48 against clients that have more.
	V4Bits, V6Bits int
	// TrustAll permits 0.0.0.0/0 and ::/0 among TrustedProxies. Clients that
	// reach the server directly can then choose their own address. The default is
	// false: such a network is a mistake.
	TrustAll bool
	// TrustUnixSocket takes the header from peers on a unix socket, which have
	// no address. Set it when only your own proxy can connect to the socket. The
	// default is false: requests over the socket have no address.
	TrustUnixSocket bool
	// NAT64 translates addresses in 64:ff9b::/96 (RFC 6052) to the IPv4 address
	// inside. The default is false.
	NAT64 bool
	// OnUntrusted is called for each request that has the header but does not
	// come from a trusted proxy: an attempt to forge an address, a proxy that is
	// missing in TrustedProxies, or a unix socket that is not trusted. It runs on
	// the request's goroutine. The default is nil: not called.
	OnUntrusted func(*http.Request)
	// Logger gets a warning, at most once a minute of each kind, if an untrusted
	// peer sends the header, if a request has no address, and if the header of a
	// trusted proxy cannot be read. The default is nil: nothing is logged.
	Logger *slog.Logger
}

// complete returns c with its defaults and with networks in canonical form. Its
// error has every mistake.
func (c Config) complete() (Config, error) {
	check := setting.Check{Package: "clientip"}
	if c.Header == "" {
		c.Header = "X-Forwarded-For"
	}
	if c.V4Bits == 0 {
		c.V4Bits = 32
	}
	if c.V6Bits == 0 {
		c.V6Bits = 64
	}
	token, rest := forwarded.CutToken(c.Header)
	check.That(token != "" && rest == "", "Header", "%q is not the name of a header", c.Header)
	check.That(c.V4Bits >= 1 && c.V4Bits <= 32, "V4Bits", "%d bits are not within 1 and 32", c.V4Bits)
	check.That(c.V6Bits >= 1 && c.V6Bits <= 128, "V6Bits", "%d bits are not within 1 and 128", c.V6Bits)
	proxies := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for i, given := range c.TrustedProxies {
		p, ok := canonical(given)
		check.That(ok, "TrustedProxies", "network %d is invalid", i+1)
		check.That(!ok || p.Bits() > 0 || c.TrustAll, "TrustedProxies", "%v trusts every peer: set TrustAll if you mean that", p)
		proxies = append(proxies, p)
	}
	c.TrustedProxies = proxies
	return c, check.Err()
}

// canonical masks a prefix, and turns one of IPv4-mapped addresses, which
// netip never matches, into that of IPv4.
func canonical(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
