package clientip

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/redishttp/redishttp/internal/forwarded"
)

// A header is read only so far: what is longer was not made by proxies.
const (
	maxHops        = 64
	maxHeaderBytes = 8 << 10
)

// walk follows the header from the right, starting at the peer, to the first
// address that is not trusted. It reports false when an entry cannot be read.
func (v *Resolver) walk(client netip.Addr, lines []string) (netip.Addr, bool) {
	if v.config.Single {
		return v.single(client, lines)
	}
	room, hops := maxHeaderBytes, 0
	for _, line := range slices.Backward(lines) { // no entry spans lines: RFC 9110, section 5.3
		for rest := line; rest != ""; {
			entry, left, ok := cutLast(rest, room, v.comma())
			if !ok {
				return client, false
			}
			room -= len(rest) - len(left)
			rest = left
			if entry == "" {
				continue // RFC 9110, section 5.6.1: an empty element is no element
			}
			hops++
			addr, ok := v.parse(entry)
			if !ok || hops > maxHops {
				return client, false // what is left of an unreadable entry may be forged
			}
			client = addr
			if !contain(v.config.TrustedProxies, addr) {
				return client, true
			}
		}
	}
	return client, true
}

// single reads a header that must have one line with one entry.
func (v *Resolver) single(peer netip.Addr, lines []string) (netip.Addr, bool) {
	if len(lines) == 0 {
		return peer, true
	}
	if len(lines) > 1 {
		return peer, false
	}
	entry, left, ok := cutLast(lines[0], maxHeaderBytes, v.comma())
	if !ok || left != "" {
		return peer, false
	}
	if addr, ok := v.parse(entry); ok {
		return addr, true
	}
	return peer, false
}

func (v *Resolver) isForwarded() bool { return strings.EqualFold(v.config.Header, "Forwarded") }

// comma returns the function that finds the comma before the last entry of a
// list, -1 if there is none.
func (v *Resolver) comma() func(string) (int, bool) {
	if v.isForwarded() {
		return forwarded.LastComma
	}
	return func(list string) (int, bool) { return strings.LastIndexByte(list, ','), true }
}

func (v *Resolver) parse(entry string) (netip.Addr, bool) {
	if v.isForwarded() {
		return parseElement(entry)
	}
	return parseHop(entry)
}

// cutLast cuts the last entry off a list, reading no more than room bytes of it.
func cutLast(list string, room int, comma func(string) (int, bool)) (entry, left string, ok bool) {
	skipped := max(0, len(list)-room)
	at, ok := comma(list[skipped:])
	if !ok || at < 0 && skipped > 0 {
		return "", "", false
	}
	if at < 0 {
		return strings.Trim(list, " \t"), "", true
	}
	return strings.Trim(list[skipped+at+1:], " \t"), list[:skipped+at], true
}
