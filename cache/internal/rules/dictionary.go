package rules

import "strings"

// parseDictionary reads a structured field (RFC 9651, section 3.2) as
// directives: integers, strings, tokens and booleans; parameters are ignored.
// Anything that is not a dictionary makes it all invalid, and of a key given
// twice the last counts.
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
		if value, off, ok = p.item(); !ok {
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

// parameters reads and ignores those of a value.
func (p *fieldParser) parameters() bool {
	for p.skip(";") {
		p.rest = strings.TrimLeft(p.rest, " ")
		n := 0
		for n < len(p.rest) && isKeyByte(p.rest[n]) {
			n++
		}
		if n == 0 {
			return false
		}
		p.take(n)
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
		var n int
		if n = strings.IndexByte(p.rest[1:], ':'); n < 0 {
			return "", false, false
		}
		value, ok = p.take(n+2), true
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

// number reads an integer or a decimal.
func (p *fieldParser) number() (string, bool) {
	n := 1
	for n < len(p.rest) && (p.rest[n] >= '0' && p.rest[n] <= '9' || p.rest[n] == '.') {
		n++
	}
	digits := strings.TrimPrefix(p.rest[:n], "-")
	if digits == "" || strings.HasPrefix(digits, ".") || strings.HasSuffix(digits, ".") || strings.Count(digits, ".") > 1 || len(digits) > 16 {
		return "", false
	}
	return p.take(n), true
}

func (p *fieldParser) token() string {
	n := 1
	for n < len(p.rest) && p.rest[n] > 0x20 && p.rest[n] < 0x7f && strings.IndexByte(`"(),;<=>?@[\]{}`, p.rest[n]) < 0 {
		n++
	}
	return p.take(n)
}
