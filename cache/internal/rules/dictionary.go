package rules

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// parseDictionary reads a dictionary (RFC 9651, section 3.2) as directives. Parameters
// are ignored (RFC 9213, section 2.1). One syntax error makes the whole field
// invalid; of a key that is given twice the last value counts.
func parseDictionary(s string) (Control, bool) {
	d := Control{}
	p := &fieldParser{rest: strings.Trim(s, " ")}
	for p.rest != "" {
		if !p.member(d) {
			return nil, false
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
		if p.rest == "" {
			return d, true
		}
		if !p.skip(",") {
			return nil, false
		}
		if p.rest = strings.TrimLeft(p.rest, " \t"); p.rest == "" {
			return nil, false // a comma at the end
		}
	}
	return d, true
}

// fieldParser reads a structured field from the left. Each of its methods
// reports false for what is not one.
type fieldParser struct{ rest string }

// skip reads a byte that must be next.
func (p *fieldParser) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// take cuts n bytes off.
func (p *fieldParser) take(n int) string {
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

// member reads one key with its value and parameters. A value of false switches
// the directive off.
func (p *fieldParser) member(d Control) bool {
	name, ok := p.key()
	if !ok {
		return false
	}
	value, off := "", false
	if p.skip("=") {
		if value, off, ok = p.value(); !ok {
			return false
		}
	}
	if off {
		delete(d, name)
	} else {
		d[name] = value
	}
	return p.parameters()
}

// value reads what a key of a dictionary has: an inner list (section 3.1.1) or an item.
func (p *fieldParser) value() (value string, off, ok bool) {
	if !strings.HasPrefix(p.rest, "(") {
		return p.item()
	}
	all := p.rest
	p.take(1)
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.skip(")") {
			return all[:len(all)-len(p.rest)], false, true
		}
		if _, _, ok := p.item(); !ok || !p.parameters() {
			return "", false, false
		}
		if !strings.HasPrefix(p.rest, " ") && !strings.HasPrefix(p.rest, ")") {
			return "", false, false
		}
	}
}

// key reads a key (section 3.1.2).
func (p *fieldParser) key() (string, bool) {
	n := 0
	for n < len(p.rest) && (isKeyStart(p.rest[n]) || n > 0 && isKeyByte(p.rest[n])) {
		n++
	}
	return p.take(n), n > 0
}

func isKeyStart(b byte) bool { return b >= 'a' && b <= 'z' || b == '*' }

func isKeyByte(b byte) bool {
	return isKeyStart(b) || b >= '0' && b <= '9' || b == '_' || b == '-' || b == '.'
}

// parameters reads and ignores those of a value (section 3.1.2).
func (p *fieldParser) parameters() bool {
	for p.skip(";") {
		p.rest = strings.TrimLeft(p.rest, " ")
		if _, ok := p.key(); !ok {
			return false
		}
		if p.skip("=") {
			if _, _, ok := p.item(); !ok {
				return false
			}
		}
	}
	return true
}

// item reads one value (section 3.3). off is the boolean false. A number that is
// not a count of seconds, and a string where one belongs, are returned as a value
// that is no number.
func (p *fieldParser) item() (value string, off, ok bool) {
	if p.rest == "" {
		return "", false, false
	}
	switch ch := p.rest[0]; {
	case ch == '?':
		if len(p.rest) < 2 || p.rest[1] != '0' && p.rest[1] != '1' {
			return "", false, false
		}
		return "", p.take(2) == "?0", true
	case ch == '"':
		value, ok = p.text()
	case ch == '-' || ch >= '0' && ch <= '9':
		value, ok = p.number()
	case ch == '*' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z':
		value, ok = p.token(), true
	case ch == ':':
		value, ok = p.bytes()
	case ch == '@':
		value, ok = p.date()
	case ch == '%':
		value, ok = p.display()
	}
	return value, false, ok
}

// text reads a string, whose first quote it keeps: it is no number.
func (p *fieldParser) text() (string, bool) {
	var b strings.Builder
	b.WriteByte('"')
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest) && (p.rest[i+1] == '"' || p.rest[i+1] == '\\'):
			i++
			b.WriteByte(p.rest[i])
		case c == '"':
			p.take(i + 1)
			return b.String(), true
		case c < 0x20 || c > 0x7e || c == '\\':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// number reads an integer of at most 15 digits, or a decimal with at most 12 digits
// before the point and 3 after it (section 4.2.4).
func (p *fieldParser) number() (string, bool) {
	n := 1
	for n < len(p.rest) && (p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
		n++
	}
	whole, fraction, decimal := strings.Cut(strings.TrimPrefix(p.rest[:n], "-"), ".")
	switch {
	case whole == "" || !decimal && len(whole) > 15:
		return "", false
	case decimal && (len(whole) > 12 || fraction == "" || len(fraction) > 3 || strings.Contains(fraction, ".")):
		return "", false
	}
	return p.take(n), true
}

// bytes reads a byte sequence in base64 (section 3.3.5), without decoding it.
func (p *fieldParser) bytes() (string, bool) {
	n := strings.IndexByte(p.rest[1:], ':') + 1
	if n == 0 || strings.Trim(p.rest[1:n], base64) != "" {
		return "", false
	}
	return p.take(n + 1), true
}

const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

// date reads seconds since 1970 (section 3.3.7). The mark before them stays: they are
// no count of seconds.
func (p *fieldParser) date() (string, bool) {
	p.take(1)
	if p.rest == "" || p.rest[0] != '-' && (p.rest[0] < '0' || p.rest[0] > '9') {
		return "", false
	}
	value, ok := p.number()
	return "@" + value, ok && !strings.Contains(value, ".")
}

// display reads a string with percent-encoded UTF-8 (section 3.3.8), whose hexadecimal
// digits must be in lower case.
func (p *fieldParser) display() (string, bool) {
	encoded, _, closed := strings.Cut(strings.TrimPrefix(p.rest, `%"`), `"`)
	if !closed || !strings.HasPrefix(p.rest, `%"`) {
		return "", false
	}
	for i, c := range []byte(encoded) {
		if c < 0x20 || c > 0x7e || c == '%' && strings.ContainsAny(encoded[i:min(i+3, len(encoded))], "ABCDEF") {
			return "", false
		}
	}
	text, err := url.PathUnescape(encoded)
	if err != nil || !utf8.ValidString(text) {
		return "", false
	}
	return p.take(len(`%""`) + len(encoded)), true
}

func (p *fieldParser) token() string {
	n := 1
	for n < len(p.rest) && p.rest[n] > 0x20 && p.rest[n] < 0x7f && strings.IndexByte(`"(),;<=>?@[\]{}`, p.rest[n]) < 0 {
		n++
	}
	return p.take(n)
}
