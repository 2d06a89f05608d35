package cache

import (
	"net/http"
	"strings"
)

// directives are those that hold for this cache: of the first field of the
// target list that is there and valid (RFC 9213, section 2.2), else of
// Cache-Control. targeted says that Expires does not count.
func (c *config) directives(h http.Header) (d control, targeted bool) {
	for _, name := range c.targets {
		if lines := h[name]; len(lines) > 0 {
			if d, ok := parseDictionary(strings.Join(lines, ",")); ok && len(d) > 0 {
				return d, true
			}
		}
	}
	return parseControl(h), false
}

// parseDictionary reads a structured field (RFC 9651, section 3.2) as
// directives: integers, strings, tokens and booleans; parameters are ignored.
// Anything that is not a dictionary makes it all invalid, and of a key given
// twice the last counts.
func parseDictionary(s string) (control, bool) {
	d := control{}
	s = strings.Trim(s, " ")
	for s != "" {
		n := 0
		for n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || s[n] == '*' || n > 0 && (s[n] >= '0' && s[n] <= '9' || s[n] == '_' || s[n] == '-' || s[n] == '.')) {
			n++
		}
		if n == 0 {
			return nil, false
		}
		name, value := s[:n], ""
		s = s[n:]
		if strings.HasPrefix(s, "=") {
			var ok, no bool
			if value, no, s, ok = bareItem(s[1:]); !ok {
				return nil, false
			}
			if no {
				delete(d, name)
				name = ""
			}
		}
		for strings.HasPrefix(s, ";") { // parameters
			s = strings.TrimLeft(s[1:], " ")
			n := 0
			for n < len(s) && strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789_-.*", s[n]) >= 0 {
				n++
			}
			if n == 0 {
				return nil, false
			}
			if s = s[n:]; strings.HasPrefix(s, "=") {
				var ok bool
				if _, _, s, ok = bareItem(s[1:]); !ok {
					return nil, false
				}
			}
		}
		if name != "" {
			d[name] = value
		}
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return d, true
		}
		if s[0] != ',' {
			return nil, false
		}
		if s = strings.TrimLeft(s[1:], " \t"); s == "" {
			return nil, false // a comma at the end
		}
	}
	return d, true
}

// bareItem reads one value. no is the boolean false, which switches a directive off. A
// number that is not a count of seconds, and a string where one belongs, come
// out as a value that is no number.
func bareItem(s string) (value string, no bool, rest string, ok bool) {
	if s == "" {
		return "", false, "", false
	}
	switch ch := s[0]; {
	case ch == '?':
		if len(s) < 2 || s[1] != '0' && s[1] != '1' {
			return "", false, "", false
		}
		return "", s[1] == '0', s[2:], true
	case ch == '"':
		var b strings.Builder
		b.WriteByte('"') // a string is no number
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
				i++
				b.WriteByte(s[i])
			case s[i] == '"':
				return b.String(), false, s[i+1:], true
			case s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\':
				return "", false, "", false
			default:
				b.WriteByte(s[i])
			}
		}
		return "", false, "", false
	case ch == '-' || ch >= '0' && ch <= '9':
		n := 1
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
			n++
		}
		number := s[:n]
		digits := strings.TrimPrefix(number, "-")
		if digits == "" || strings.HasPrefix(digits, ".") || strings.HasSuffix(digits, ".") || strings.Count(digits, ".") > 1 || len(digits) > 16 {
			return "", false, "", false
		}
		return number, false, s[n:], true
	case ch == '*' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z':
		n := 1
		for n < len(s) && (s[n] > 0x20 && s[n] < 0x7f && strings.IndexByte(`"(),;<=>?@[\]{}`, s[n]) < 0) {
			n++
		}
		return s[:n], false, s[n:], true
	case ch == ':':
		i := strings.IndexByte(s[1:], ':')
		if i < 0 {
			return "", false, "", false
		}
		return s[:i+2], false, s[i+2:], true
	}
	return "", false, "", false
}
