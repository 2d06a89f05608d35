package idempotency

import (
	"net/http"
	"strings"
)

// fieldName is the request header field, replayedName is on responses that are
// sent again.
const (
	fieldName    = "Idempotency-Key"
	replayedName = "Idempotency-Replayed"
)

// maxKey bounds a key, in characters; a UUID has 36.
const maxKey = 255

// keyOf returns the key of a request, and the reason if there is none to use.
// Of several lines none can be preferred, so they are rejected.
func keyOf(h http.Header) (key string, reason string) {
	lines := h[fieldName]
	if len(lines) == 0 {
		return "", reasonMissing
	}
	if len(lines) == 1 {
		if key, ok := parseKey(lines[0]); ok {
			return key, ""
		}
	}
	return "", reasonMalformed
}

// parseKey reads a String of RFC 9651, section 3.3.3, which the draft demands in
// section 2.1, or the same without quotes, as most clients send it: then of
// visible characters, and without those that lists, parameters and strings are
// made of. Parameters are not defined for this field and are refused.
func parseKey(s string) (string, bool) {
	if len(s) > 2*maxKey+2 {
		return "", false
	}
	s = strings.Trim(s, " \t")
	quoted, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s, s != "" && len(s) <= maxKey && !strings.ContainsFunc(s, func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, c)
		})
	}
	var key strings.Builder
	for i := 0; i < len(quoted); i++ {
		switch c := quoted[i]; {
		case c == '"':
			return key.String(), i == len(quoted)-1 && i > 0 && key.Len() <= maxKey
		case c == '\\':
			if i++; i == len(quoted) || quoted[i] != '"' && quoted[i] != '\\' {
				return "", false
			}
			key.WriteByte(quoted[i])
		case c < ' ' || c >= 0x7f:
			return "", false
		default:
			key.WriteByte(c)
		}
	}
	return "", false // it does not end
}
