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
	"sync"
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
	// the client's own: CF-Connecting-IP, Fly-Client-IP, X-Real-IP.
	Single bool
	// V4Bits and V6Bits are how much of an address is one client: 32 and 64 by
	// default, for an IPv6 host usually has a whole /64.
	V4Bits, V6Bits int
	// TrustAll allows networks of every address among TrustedProxies. Then
	// anybody who reaches the server directly chooses his own address.
	TrustAll bool
	// TrustUnixSocket takes the header from peers on a unix socket, which have
	// no address. Otherwise they all share one key.
	TrustUnixSocket bool
	// NAT64 takes 64:ff9b::/96 (RFC 6052) for the IPv4 address inside.
	NAT64 bool
	// OnUntrusted is called for requests that bring the header from a peer that
	// is not a trusted proxy: an attempt to forge, or a proxy that is not
	// listed, behind which all clients share one key. It may be nil.
	OnUntrusted func(*http.Request)
	// Logger gets one warning about the first of them. nil discards.
	Logger *slog.Logger
}

const (
	maxHops        = 64
	maxHeaderBytes = 8 << 10
	unixKey        = "unix"
)

// RemoteAddr is the KeyFunc of the connection's own address, IPv6 by /64. It
// trusts no header.
func RemoteAddr(r *http.Request) (string, error) { return remoteOnly.key(r) }

var remoteOnly = &resolver{IP: IP{V4Bits: 32, V6Bits: 64, Header: "X-Forwarded-For"}}

// ClientIP returns a KeyFunc that finds the client's address: from the right,
// the first address in the header that is not a trusted proxy's. What a client
// writes itself stands further left and is never reached.
func ClientIP(ip IP) (KeyFunc, error) {
	c, err := newResolver(ip)
	if err != nil {
		return nil, err
	}
	return c.key, nil
}

// Networks returns a function that reports whether the client's address is in
// one of the prefixes, for [WithSkip] and [WithDenyList].
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
		addr, ok := c.client(r)
		return ok && slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(addr) })
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

type resolver struct {
	IP
	warn sync.Once
}

func (c *resolver) key(r *http.Request) (string, error) {
	addr, ok := c.client(r)
	if !ok {
		return unixKey, nil
	}
	bits := c.V6Bits
	if addr.Is4() {
		bits = c.V4Bits
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return "", fmt.Errorf("ratelimit: client address: %w", err)
	}
	return p.String(), nil
}

// client walks the header. It reports false where there is no address at all.
func (c *resolver) client(r *http.Request) (netip.Addr, bool) {
	addr, ok := c.find(r)
	if c.NAT64 && ok && nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr, ok
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// untrusted reports a header that does not count.
func (c *resolver) untrusted(r *http.Request) {
	if (c.OnUntrusted == nil && c.Logger == nil) || len(r.Header[http.CanonicalHeaderKey(c.Header)]) == 0 {
		return
	}
	if c.OnUntrusted != nil {
		c.OnUntrusted(r)
	}
	if c.Logger != nil {
		c.warn.Do(func() {
			c.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a forwarding header comes from a peer that is not a trusted proxy: is one not listed?",
				slog.String("header", c.Header), slog.String("peer", r.RemoteAddr))
		})
	}
}

func (c *resolver) find(r *http.Request) (netip.Addr, bool) {
	remote, h := r.RemoteAddr, r.Header
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		if addr, ok := parseHop(remote); ok { // httptest and some servers leave the port out
			peer = netip.AddrPortFrom(addr, 0)
		} else if !c.TrustUnixSocket {
			return netip.Addr{}, false
		}
	}
	client := plain(peer.Addr())
	if client.IsValid() && !c.trusted(client) {
		c.untrusted(r)
		return client, true
	}
	hops := c.hops(h)
	for i := len(hops) - 1; i >= 0; i-- {
		addr, ok := parseHop(hops[i])
		if !ok {
			break // never step over what cannot be read: the left of it may be forged
		}
		client = addr
		if !c.trusted(addr) {
			break
		}
	}
	return client, client.IsValid()
}

func (c *resolver) trusted(addr netip.Addr) bool {
	for _, p := range c.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// hops are the entries of all lines of the header in order, at most the 64
// last and 8 KiB.
func (c *resolver) hops(h http.Header) []string {
	lines := h.Values(c.Header)
	if c.Single {
		if len(lines) != 1 {
			return nil
		}
		return []string{strings.Trim(lines[0], " \t")}
	}
	joined := strings.Join(lines, ",")
	if len(joined) > maxHeaderBytes {
		joined = joined[len(joined)-maxHeaderBytes:]
		_, joined, _ = strings.Cut(joined, ",") // the cut entry may be half an address
	}
	var hops []string
	for entry := range strings.SplitSeq(joined, ",") {
		if entry = strings.Trim(entry, " \t"); entry == "" {
			continue // RFC 9110, section 5.6.1: an empty element is no element
		}
		if strings.EqualFold(c.Header, "Forwarded") {
			entry = forwardedFor(entry)
		}
		hops = append(hops, entry)
	}
	return hops[max(0, len(hops)-maxHops):]
}

// forwardedFor is the for parameter of an element of RFC 7239, section 4; ""
// if there is none, which ends the walk.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, ok := strings.Cut(pair, "=")
		if ok && strings.EqualFold(strings.Trim(name, " \t"), "for") {
			value = strings.Trim(value, " \t")
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			return value
		}
	}
	return ""
}

// parseHop reads 1.2.3.4, 1.2.3.4:80, 2001:db8::1, [2001:db8::1] and
// [2001:db8::1]:80.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if bracketed := strings.HasPrefix(s, "["); err == nil && (bracketed != strings.HasSuffix(s, "]") || bracketed && !addr.Is6()) {
		return netip.Addr{}, false
	}
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	addr = plain(addr)
	return addr, addr.IsValid() && !addr.IsUnspecified()
}

// plain drops the zone, and takes a mapped address for the IPv4 one it is.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
