package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// control is a Cache-Control field: directives in lower case with their
// arguments (RFC 9111, section 5.2).
type control map[string]string

// parseControl reads all lines; of a directive given twice the first counts,
// but for the restrictive ones it does not matter.
func parseControl(h http.Header) control {
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		return nil
	}
	c := control{}
	for _, line := range lines {
		for line != "" {
			var item string
			item, line = cutItem(line)
			name, arg, _ := strings.Cut(item, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" {
				continue
			}
			if _, twice := c[name]; !twice {
				c[name] = strings.Trim(strings.TrimSpace(arg), `"`)
			}
		}
	}
	return c
}

// cutItem cuts at the next comma outside of quotes.
func cutItem(s string) (item, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func (c control) has(name string) bool {
	_, ok := c[name]
	return ok
}

// seconds is a delta-seconds argument. What is too large is very long (RFC
// 9111, section 1.2.2), what is no number counts as 0: stale.
func (c control) seconds(name string) (d time.Duration, ok bool) {
	arg, ok := c[name]
	if !ok {
		return 0, false
	}
	d, _ = deltaSeconds(arg)
	return d, true
}

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
