package rules

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// cutItem cuts at the next comma outside of quotes. A quote that is not closed is
// an ordinary character, for it must not hide what comes after it.
func cutItem(s string) (item, rest string) {
	open := -1
	for i := 0; i < len(s); i++ {
		switch {
		case open >= 0 && s[i] == '\\':
			i++
		case s[i] == '"' && open >= 0:
			open = -1
		case s[i] == '"':
			open = i
		case s[i] == ',' && open < 0:
			return s[:i], s[i+1:]
		}
	}
	if open >= 0 {
		if i := strings.IndexByte(s[open:], ','); i >= 0 {
			return s[:open+i], s[open+i+1:]
		}
	}
	return s, ""
}

// deltaSeconds reads a non-negative integer (RFC 9111, section 1.2.2). What is too large
// is 2^31 seconds, so that two of them can be added.
func deltaSeconds(s string) (d time.Duration, ok bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > 1<<31 {
		n = 1 << 31
	}
	return time.Duration(n) * time.Second, true
}

// ValidToken matches a token of a structured field (RFC 9651, section 3.3.4).
var ValidToken = regexp.MustCompile(`^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/-]{0,63}$`)

const ows = " \t" // optional white space is nothing else

// cutParam cuts at the next semicolon outside of quotes.
func cutParam(s string) (param, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// lower is s with ASCII letters in lower case. Others stay: what they are in
// another case is not defined for a field value.
func lower(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return c >= 'A' && c <= 'Z' }) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// items are the members of a list without the white space around them.
func items(list string) []string {
	var out []string
	for rest := strings.Trim(list, ows); ; {
		var item string
		item, rest = cutItem(rest)
		out = append(out, strings.Trim(item, ows))
		if rest == "" {
			return out
		}
	}
}
