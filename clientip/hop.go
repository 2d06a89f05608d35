package clientip

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseHop reads an entry of X-Forwarded-For and its kin: 1.2.3.4, 1.2.3.4:80,
// 2001:db8::1, [2001:db8::1] and [2001:db8::1]:80, each IPv6 address with or
// without a zone.
func parseHop(s string) (netip.Addr, bool) {
	if s == "" {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		host, port, closed := strings.Cut(s[1:], "]")
		if !closed || port != "" && (port[0] != ':' || !isPort(port[1:])) {
			return netip.Addr{}, false
		}
		return parseHost(host, true)
	}
	if host, port, found := strings.Cut(s, ":"); found && !strings.Contains(port, ":") { // one colon: no IPv6 address has that
		if !isPort(port) {
			return netip.Addr{}, false
		}
		return parseHost(host, false)
	}
	return parseHost(s, strings.Contains(s, ":"))
}

// parseHost reads an address that may be a client's: an IPv6 one if v6 is set,
// else an IPv4 one.
func parseHost(s string, v6 bool) (netip.Addr, bool) {
	if strings.ContainsAny(s, "[] ") { // netip takes any byte in a zone
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Is4() == v6 {
		return netip.Addr{}, false
	}
	addr = plain(addr)
	return addr, !addr.IsUnspecified()
}

// isPort reports whether s is a number of up to five digits below 65536.
func isPort(s string) bool {
	if len(s) > 5 || s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// plain drops the zone, and turns an IPv4-mapped address into the IPv4 address.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
