package clientip

import (
	"net/netip"
	"strings"

	"github.com/redishttp/redishttp/internal/forwarded"
)

// parseElement returns the address in the for parameter of an element of Forwarded. It
// reports false if the element does not follow the grammar, has a parameter twice,
// or names no address.
func parseElement(element string) (netip.Addr, bool) {
	node, ok := forwarded.Param(element, "for")
	if !ok {
		return netip.Addr{}, false
	}
	return parseNode(node)
}

// parseNode reads a node of RFC 7239, section 6: an IPv4 address, or an IPv6
// address in brackets, each with or without a port. It reports false for
// unknown and for an obfuscated identifier.
func parseNode(node string) (netip.Addr, bool) {
	host, port := node, ""
	i := strings.IndexByte(node, ':')
	bracketed := node != "" && node[0] == '['
	if bracketed {
		end := strings.IndexByte(node, ']')
		if end < 0 {
			return netip.Addr{}, false
		}
		host, i = node[1:end], end+1
	}
	if i >= 0 && i < len(node) {
		if node[i] != ':' {
			return netip.Addr{}, false
		}
		if !bracketed {
			host = node[:i]
		}
		if port = node[i+1:]; !isPort(port) && !isObfuscated(port) {
			return netip.Addr{}, false
		}
	}
	return parseHost(host, bracketed)
}

// isObfuscated reports whether s is an obfport (RFC 7239, section 6.3).
func isObfuscated(s string) bool {
	if len(s) < 2 || s[0] != '_' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isAlphanumeric(s[i]) && strings.IndexByte("._-", s[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}
