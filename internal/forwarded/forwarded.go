// Package forwarded reads the Forwarded header field (RFC 7239) so that a client
// cannot choose what a trusted proxy says.
//
// A field is a list of elements (section 4):
//
//	element = [ pair ] *( ";" [ pair ] )
//	pair    = token "=" ( token / quoted-string )
//
// Proxies copy what clients sent into quoted strings, the Host above all, and
// append their element to the field that they received. So the list is read from its end, which is
// the nearest proxy's and lies outside of quotes: whatever stands to the left,
// a quote that is never closed included, cannot change where the last element
// begins.
package forwarded

import "strings"

// LastComma returns the index of the last comma outside of quotes, -1 if there is
// none. It reports false if a quote is never opened. Cut a list there to read it
// from its end, element by element:
//
//	for=192.0.2.1;host="a,b", for=10.0.0.1
//	                        ^
func LastComma(list string) (int, bool) {
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

// openingQuote returns the index of the last quote that is not escaped: an even
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

// Param returns the value of a parameter of an element, without its quotes. Names
// are case-insensitive (section 4). It reports false if the element does not follow
// the grammar, has any parameter twice, has more than 16 pairs, or does not have this
// one.
func Param(element, name string) (value string, ok bool) {
	var names [maxPairs]string
	found, n := false, 0
	for {
		element = strings.TrimLeft(element, " \t") // white space around ";" is not in the grammar, but in use
		if element != "" && element[0] != ';' {
			key, val, rest, ok := CutPair(element)
			if !ok || n == maxPairs {
				return "", false
			}
			for _, other := range names[:n] {
				if strings.EqualFold(key, other) {
					return "", false
				}
			}
			names[n] = key
			n++
			if strings.EqualFold(key, name) {
				value, found = val, true
			}
			element = strings.TrimLeft(rest, " \t")
		}
		if element == "" {
			return value, found
		}
		if element[0] != ';' {
			return "", false
		}
		element = element[1:]
	}
}

// CutPair cuts name=value off the beginning of s, the value without its quotes. It
// reports false if s does not begin with a pair, or if a token as a value is empty.
func CutPair(s string) (name, value, rest string, ok bool) {
	name, s = CutToken(s)
	if name == "" || s == "" || s[0] != '=' {
		return "", "", "", false
	}
	if s = s[1:]; s != "" && s[0] == '"' {
		value, rest, ok = CutQuoted(s[1:])
		return name, value, rest, ok
	}
	value, rest = CutToken(s)
	return name, value, rest, value != ""
}

// CutToken cuts a token off the beginning of s (RFC 9110, section 5.6.2). The token
// is empty if s begins with another byte.
func CutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// CutQuoted reads the rest of a quoted-string up to its closing quote (RFC 9110,
// section 5.6.4). It reports false for a control character and if no quote closes.
func CutQuoted(s string) (value, rest string, ok bool) {
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

// isTokenByte reports whether b is a tchar (RFC 9110, section 5.6.2).
func isTokenByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
