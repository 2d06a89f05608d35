package ratelimit

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/redishttp/redishttp/internal/forwarded"
)

// KeyFunc names what a request is counted against. An error, or an empty key,
// is answered 500: never "unlimited".
type KeyFunc func(*http.Request) (string, error)

// IP says how to find the client's address behind proxies. The zero value
// trusts no header.
type IP struct {
	// TrustedProxies are the networks of your own proxies. Headers count only
	// when the connection comes from one of them.
	TrustedProxies []netip.Prefix
	// Header holds the forwarding proxies' list, X-Forwarded-For by default,
	// or "Forwarded" (RFC 7239).
	Header string
	// Single says that Header holds one address, set by a proxy that removes
	// the client's own: CF-Connecting-IP, Fly-Client-IP, X-Real-IP, or a
	// Forwarded of one element. Several lines or values make it unreadable.
	Single bool
	// V4Bits and V6Bits are the prefix lengths that identify a client: 32 and
	// 64 by default, because an IPv6 host usually has a whole /64.
	V4Bits, V6Bits int
	// TrustAll permits 0.0.0.0/0 and ::/0 among TrustedProxies. Then clients
	// that reach the server directly choose their own address.
	TrustAll bool
	// TrustUnixSocket takes the header from peers on a unix socket, which have
	// no address. Set it when only your own proxy can connect to the socket.
	// The default is false: all requests over the socket share one key, which
	// Logger and OnUntrusted report.
	TrustUnixSocket bool
	// NAT64 takes 64:ff9b::/96 (RFC 6052) for the IPv4 address inside.
	NAT64 bool
	// OnUntrusted is called for requests that bring the header from a peer that
	// is not a trusted proxy: an attempt to forge, or a proxy that is not
	// listed, behind which all clients share one key, or a unix socket that is
	// not trusted. It may be nil.
	OnUntrusted func(*http.Request)
	// Logger gets one warning a minute of each kind: an untrusted peer brings
	// the header, requests without a peer address share one key, a trusted
	// proxy's header cannot be read. nil discards.
	Logger *slog.Logger
}

const (
	maxHops        = 64
	maxHeaderBytes = 8 << 10
	sharedKey      = "unix" // of all requests without an address
)

// RemoteAddr is the KeyFunc of the connection's own address, IPv6 by /64. It
// trusts no header. Requests without an address, as over a unix socket, share
// the key "unix", which [Limiter.Handler] logs once a minute.
func RemoteAddr(r *http.Request) (string, error) { return remoteOnly.key(r) }

var remoteOnly = &resolver{IP: IP{V4Bits: 32, V6Bits: 64, Header: "X-Forwarded-For"}}

// ClientIP returns a KeyFunc that finds the client's address: from the right,
// the first address in the header that is not a trusted proxy's. What a client
// writes itself stands further left and is never reached. An entry that cannot
// be read ends the walk: the key is then the proxy to its right, the peer itself
// if the rightmost entry is the one, and nothing to its left is believed.
//
// The key of a request without any address is "unix".
func ClientIP(ip IP) (KeyFunc, error) {
	c, err := newResolver(ip)
	if err != nil {
		return nil, err
	}
	return c.key, nil
}

// Networks returns a function that reports whether the client's address is in
// one of the prefixes, for [WithSkip] and [WithDenyList]. It reports false when
// a proxy hides the address or the header cannot be read.
func Networks(ip IP, prefixes ...netip.Prefix) (func(*http.Request) bool, error) {
	c, err := newResolver(ip)
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, p := range prefixes {
		p, ok := canonical(p)
		if !ok {
			return nil, &OptionError{Option: "Networks", Reason: "a network is invalid"}
		}
		all = append(all, p)
	}
	return func(r *http.Request) bool {
		addr, known := c.client(r)
		return known && slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(addr) })
	}, nil
}

// Join makes one key of several parts, so that no two lists of parts make the
// same: an API key and a route, a user and an address.
func Join(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}

func newResolver(ip IP) (*resolver, error) {
	c := &resolver{IP: ip}
	if c.Header == "" {
		c.Header = "X-Forwarded-For"
	}
	if c.V4Bits == 0 {
		c.V4Bits = 32
	}
	if c.V6Bits == 0 {
		c.V6Bits = 64
	}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, &OptionError{Option: "ClientIP", Reason: fmt.Sprintf(format, args...)})
	}
	if c.V4Bits < 1 || c.V4Bits > 32 || c.V6Bits < 1 || c.V6Bits > 128 {
		wrong("bits of an address are not within 1 and 32 or 128")
	}
	if token, rest := forwarded.CutToken(c.Header); token == "" || rest != "" {
		wrong("%q is not the name of a header", c.Header)
	}
	c.TrustedProxies = nil
	for _, p := range ip.TrustedProxies {
		p, ok := canonical(p)
		switch {
		case !ok:
			wrong("a trusted network is invalid")
		case p.Bits() == 0 && !ip.TrustAll:
			wrong("%v trusts everybody: set TrustAll if that is meant", p)
		default:
			c.TrustedProxies = append(c.TrustedProxies, p)
		}
	}
	return c, errors.Join(errs...)
}

// canonical masks a prefix, and turns one of mapped addresses into that of
// IPv4, which netip would never match.
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
