// Package keypart joins the parts of a composite key.
package keypart

import (
	"strconv"
	"strings"
)

// Join makes one key of several parts. Different parts never give the same key,
// whatever they contain: ("a:b", "c") is not ("a", "b:c").
func Join(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}
