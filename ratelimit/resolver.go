package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/forwarded"
)

// resolver finds clients' addresses as an [IP] says.
type resolver struct {
	IP
	untrustedPeer, noAddress, unreadable sometimes
}

func (c *resolver) key(r *http.Request) (string, error) {
	addr, _ := c.client(r)
	if !addr.IsValid() {
		return sharedKey, nil
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

// client is the client's address, not valid where there is none at all. It is
// not known when it is that of a proxy whose header ends or hides the rest.
func (c *resolver) client(r *http.Request) (addr netip.Addr, known bool) {
	addr, known = c.find(r)
	if c.NAT64 && nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr, known
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func (c *resolver) find(r *http.Request) (netip.Addr, bool) {
	peer := peerOf(r)
	switch {
	case peer.IsValid() && !c.trusted(peer):
		if c.untrusted(r) {
			c.warn(r, &c.untrustedPeer, "a forwarding header comes from a peer that is not a trusted proxy: is one not listed?")
		}
		return peer, true
	case !peer.IsValid() && !(c.TrustUnixSocket && overUnix(r)):
		c.untrusted(r)
		c.warn(r, &c.noAddress, "requests without a peer address share one key: is a unix socket not trusted?")
		return peer, false
	}
	client, known := c.walk(peer, c.lines(r))
	switch {
	case !known:
		c.warn(r, &c.unreadable, "a trusted proxy's forwarding header cannot be read: its clients share one key")
	case !client.IsValid():
		c.warn(r, &c.noAddress, "a trusted unix socket brings no forwarding header: its requests share one key")
	}
	return client, known && client.IsValid()
}

func (c *resolver) lines(r *http.Request) []string { return r.Header.Values(c.Header) }

// walk follows the header from the right, starting at the peer, to the first
// address that is not trusted. It reports false when an entry cannot be read.
func (c *resolver) walk(client netip.Addr, lines []string) (netip.Addr, bool) {
	if c.Single {
		return c.single(client, lines)
	}
	room, hops := maxHeaderBytes, 0
	for i := len(lines) - 1; i >= 0; i-- { // no entry spans lines: RFC 9110, section 5.3
		for rest := lines[i]; rest != ""; {
			entry, left, ok := cutLast(rest, room, c.cut())
			if !ok {
				return client, false
			}
			room -= len(rest) - len(left)
			rest = left
			if entry == "" {
				continue // RFC 9110, section 5.6.1: an empty element is no element
			}
			hops++
			addr, ok := c.parse(entry)
			if !ok || hops > maxHops {
				return client, false // never step over what cannot be read: the left of it may be forged
			}
			client = addr
			if !c.trusted(addr) {
				return client, true
			}
		}
	}
	return client, true
}

// single reads a header that must have one line with one entry.
func (c *resolver) single(client netip.Addr, lines []string) (netip.Addr, bool) {
	if len(lines) == 0 {
		return client, true
	}
	if len(lines) > 1 {
		return client, false
	}
	entry, left, ok := cutLast(lines[0], maxHeaderBytes, c.cut())
	if !ok || left != "" {
		return client, false
	}
	if addr, ok := c.parse(entry); ok {
		return addr, true
	}
	return client, false
}

func (c *resolver) forwarded() bool { return strings.EqualFold(c.Header, "Forwarded") }

// cut finds the comma before the last entry of a list, -1 if there is none.
func (c *resolver) cut() func(string) (int, bool) {
	if c.forwarded() {
		return forwarded.LastComma
	}
	return func(list string) (int, bool) { return strings.LastIndexByte(list, ','), true }
}

func (c *resolver) parse(entry string) (netip.Addr, bool) {
	if c.forwarded() {
		return forwardedFor(entry)
	}
	return parseHop(entry)
}

// cutLast cuts the last entry off a list, reading no more than room bytes of it.
func cutLast(list string, room int, cut func(string) (int, bool)) (entry, left string, ok bool) {
	skipped := max(0, len(list)-room)
	comma, ok := cut(list[skipped:])
	if !ok || comma < 0 && skipped > 0 {
		return "", "", false
	}
	if comma < 0 {
		return strings.Trim(list, " \t"), "", true
	}
	return strings.Trim(list[skipped+comma+1:], " \t"), list[:skipped+comma], true
}

func (c *resolver) trusted(addr netip.Addr) bool {
	for _, p := range c.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// peerOf is the connection's own address, not valid if it has none.
func peerOf(r *http.Request) netip.Addr {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return plain(peer.Addr())
	}
	addr, _ := parseHop(r.RemoteAddr) // httptest and some servers leave the port out
	return addr
}

// overUnix reports whether a request came over a unix socket. A RemoteAddr that
// says nothing is not enough where the server knows better: a middleware may
// have written into it what a client sent.
func overUnix(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return strings.HasPrefix(local.Network(), "unix")
	}
	return r.RemoteAddr == "" || r.RemoteAddr[0] == '@'
}

// untrusted reports whether a header comes that does not count, and tells the
// hook.
func (c *resolver) untrusted(r *http.Request) bool {
	if c.OnUntrusted == nil && c.Logger == nil || len(c.lines(r)) == 0 {
		return false
	}
	if c.OnUntrusted != nil {
		c.OnUntrusted(r)
	}
	return true
}

func (c *resolver) warn(r *http.Request, kind *sometimes, text string) {
	if c.Logger != nil {
		kind.log(r.Context(), c.Logger, text, slog.String("header", c.Header), slog.String("peer", r.RemoteAddr))
	}
}

// sometimes logs at most once a minute: what clients can provoke must not fill
// a log.
type sometimes struct{ next atomic.Int64 }

func (s *sometimes) log(ctx context.Context, l *slog.Logger, text string, attrs ...slog.Attr) {
	now := int64(time.Since(epoch)) + 1
	if next := s.next.Load(); now >= next && s.next.CompareAndSwap(next, now+int64(time.Minute)) {
		l.LogAttrs(ctx, slog.LevelWarn, text, attrs...)
	}
}
