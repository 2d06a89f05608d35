package rules

import (
	"net/http"
	"strings"
)

// directives are those that hold for this cache: of the first field of the
// target list that is valid and not empty (RFC 9213, section 2.2), else of
// Cache-Control. targeted says that Expires does not count.
func (rs *Rules) directives(h http.Header) (d Control, targeted bool) {
	for _, name := range rs.Targets {
		if lines := h[name]; len(lines) > 0 {
			if d, ok := parseDictionary(strings.Join(lines, ",")); ok && len(d) > 0 {
				return d, true
			}
		}
	}
	return ParseControl(h), false
}
