package ratelimit

import (
	"net/netip"
	"strings"
)

// Forwarded is a list of elements (RFC 7239, section 4):
//
//	element = [ pair ] *( ";" [ pair ] )
//	pair    = token "=" ( token / quoted-string )
//
// Proxies copy what clients sent into quoted strings, the Host above all, and
// append their element to what came. So the list is read from its end, which is
// the nearest proxy's and lies outside of quotes: whatever stands to the left,
// a quote that is never closed included, cannot change where the last element
// begins.

// lastComma is the index of the last comma outside of quotes, -1 if there is
// none. It reports false if a quote is never opened.
func lastComma(list string) (int, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		switch list[i] {
		case ',':
			return i, true
		case '"':
			if i = openingQuote(list[:i]); i < 0 {
				return -1, false
			}
		}
	}
	return -1, true
}

// openingQuote is the index of the last quote that is not escaped: an even
// number of backslashes stands before it. It is -1 if there is none.
func openingQuote(s string) int {
	for {
		i := strings.LastIndexByte(s, '"')
		if i < 0 || (i-len(strings.TrimRight(s[:i], `\`)))%2 == 0 {
			return i
		}
		s = s[:i]
	}
}

// maxPairs bounds the pairs of an element: four are defined.
const maxPairs = 16

// forwardedFor is the address in the for parameter of an element. It reports
// false if the element does not follow the grammar, has a parameter twice, or
// names no address.
func forwardedFor(element string) (netip.Addr, bool) {
	var names [maxPairs]string
	node, found, n := "", false, 0
	for {
		element = strings.TrimLeft(element, " \t") // white space around ";" is not in the grammar, but in use
		if element != "" && element[0] != ';' {
			name, value, rest, ok := cutPair(element)
			if !ok || n == maxPairs {
				return netip.Addr{}, false
			}
			for _, other := range names[:n] {
				if strings.EqualFold(name, other) {
					return netip.Addr{}, false
				}
			}
			names[n] = name
			n++
			if strings.EqualFold(name, "for") {
				node, found = value, true
			}
			element = strings.TrimLeft(rest, " \t")
		}
		if element == "" {
			break
		}
		if element[0] != ';' {
			return netip.Addr{}, false
		}
		element = element[1:]
	}
	if !found {
		return netip.Addr{}, false
	}
	return parseNode(node)
}

// cutPair cuts name=value off the beginning of s, the value without its quotes.
func cutPair(s string) (name, value, rest string, ok bool) {
	name, s = cutToken(s)
	if name == "" || s == "" || s[0] != '=' {
		return "", "", "", false
	}
	if s = s[1:]; s != "" && s[0] == '"' {
		value, rest, ok = cutQuoted(s[1:])
		return name, value, rest, ok
	}
	value, rest = cutToken(s)
	return name, value, rest, value != ""
}

func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// cutQuoted reads up to the closing quote (RFC 9110, section 5.6.4).
func cutQuoted(s string) (value, rest string, ok bool) {
	var unescaped []byte // nil while nothing is escaped
	for i := 0; i < len(s); i++ {
		b := s[i]
		switch {
		case b == '"':
			if unescaped != nil {
				return string(unescaped), s[i+1:], true
			}
			return s[:i], s[i+1:], true
		case b == '\\':
			if unescaped == nil {
				unescaped = append(make([]byte, 0, len(s)), s[:i]...)
			}
			if i++; i == len(s) {
				return "", "", false
			}
			b = s[i]
		}
		if b != '\t' && (b < ' ' || b == 0x7f) {
			return "", "", false
		}
		if unescaped != nil {
			unescaped = append(unescaped, b)
		}
	}
	return "", "", false
}

func isTokenByte(b byte) bool {
	return isAlphanumeric(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func isAlphanumeric(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
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
