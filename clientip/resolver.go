package clientip

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/redishttp/redishttp/internal/lograte"
	"github.com/redishttp/redishttp/internal/setting"
)

// OptionError is one mistake in a [Config], or in the networks of
// [Resolver.Within].
type OptionError = setting.Error

// A Resolver finds clients' addresses. It is safe for concurrent use.
type Resolver struct {
	config Config // completed

	untrustedPeer, noAddress, unreadable lograte.Gate // of the warnings
}

// New returns a Resolver. All mistakes are reported at once, as joined
// [*OptionError].
func New(config Config) (*Resolver, error) {
	c, err := config.complete()
	if err != nil {
		return nil, err
	}
	return &Resolver{config: c}, nil
}

// Addr returns the client's address, without a zone, and as IPv4 if it is an
// IPv4-mapped one. If ok is false, it is not known to be the client's: it is
// that of the nearest proxy whose word can be read, or not valid if there is no
// address at all, as over a unix socket.
func (v *Resolver) Addr(r *http.Request) (addr netip.Addr, ok bool) {
	addr, ok = v.find(r)
	if v.config.NAT64 && nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr, ok
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Prefix returns the network that identifies the client: its address with
// V4Bits or V6Bits. If the client's address is not known, it is that of the proxy,
// see [Resolver.Addr]: clients behind it share it. It is not valid if there is no
// address at all.
func (v *Resolver) Prefix(r *http.Request) netip.Prefix {
	addr, _ := v.Addr(r)
	bits := v.config.V6Bits
	if addr.Is4() {
		bits = v.config.V4Bits
	}
	p, _ := addr.Prefix(bits) // not valid for no address
	return p
}

// Within returns a function that reports whether the client's address is in one
// of the networks. It reports false if the address is not known, see
// [Resolver.Addr]. It is for allow and deny lists. The error is an
// [*OptionError].
func (v *Resolver) Within(networks ...netip.Prefix) (func(*http.Request) bool, error) {
	check := setting.Check{Package: "clientip"}
	all := make([]netip.Prefix, 0, len(networks))
	for i, given := range networks {
		p, ok := canonical(given)
		check.That(ok, "Within", "network %d is invalid", i+1)
		all = append(all, p)
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	return func(r *http.Request) bool {
		addr, ok := v.Addr(r)
		return ok && contain(all, addr)
	}, nil
}

// Trusts reports whether the request comes from a trusted proxy, so that other
// headers that this proxy sets can be believed, X-Forwarded-Proto for one.
func (v *Resolver) Trusts(r *http.Request) bool {
	peer := Peer(r)
	if !peer.IsValid() {
		return v.config.TrustUnixSocket && overUnix(r)
	}
	return contain(v.config.TrustedProxies, peer)
}

func contain(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// find returns the client's address, before translation.
func (v *Resolver) find(r *http.Request) (addr netip.Addr, ok bool) {
	peer := Peer(r)
	if !v.Trusts(r) {
		sent := v.reportUntrusted(r)
		switch {
		case !peer.IsValid():
			v.warn(r, &v.noAddress, "requests without a peer address share one key: is a unix socket not trusted?")
		case sent:
			v.warn(r, &v.untrustedPeer, "a forwarding header comes from a peer that is not a trusted proxy: is one not listed?")
		}
		return peer, peer.IsValid()
	}
	client, ok := v.walk(peer, r.Header.Values(v.config.Header))
	switch {
	case !ok:
		v.warn(r, &v.unreadable, "a trusted proxy's forwarding header cannot be read: its clients share one key")
	case !client.IsValid():
		v.warn(r, &v.noAddress, "a trusted unix socket brings no forwarding header: its requests share one key")
	}
	return client, ok && client.IsValid()
}

// reportUntrusted calls the hook if a header is sent that does not count, and
// reports whether one is.
func (v *Resolver) reportUntrusted(r *http.Request) bool {
	if v.config.OnUntrusted == nil && v.config.Logger == nil || len(r.Header.Values(v.config.Header)) == 0 {
		return false
	}
	if v.config.OnUntrusted != nil {
		v.config.OnUntrusted(r)
	}
	return true
}

func (v *Resolver) warn(r *http.Request, gate *lograte.Gate, text string) {
	if v.config.Logger != nil && gate.Open(time.Minute) {
		v.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, text, slog.String("header", v.config.Header), slog.String("peer", r.RemoteAddr))
	}
}
