package rules

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// date is the Date of a response, now if it has no valid one (RFC 9110, section 6.6.1).
func date(h http.Header, now time.Time) time.Time {
	if at, err := parseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

var errTime = errors.New("not an HTTP date")

// parseTime reads an HTTP date in its three forms (RFC 9110, section 5.6.7),
// of exactly that shape: package time takes one digit for two, any number of
// spaces, and any name of a zone.
func parseTime(s string) (time.Time, error) {
	_, obsolete, _ := strings.Cut(s, ", ")
	switch {
	case shaped(s, "aaa, 00 aaa 0000 00:00:00 GMT"):
		s = s[:len(s)-len("GMT")] + "GMT"
	case shaped(obsolete, "00-aaa-00 00:00:00 GMT"):
	case shaped(s, "aaa aaa 00 00:00:00 0000"), shaped(s, "aaa aaa  0 00:00:00 0000"):
	default:
		return time.Time{}, errTime
	}
	return http.ParseTime(s)
}

// shaped reports whether s is like a pattern, in which 0 is any digit and a any byte.
func shaped(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i, c := range []byte(pattern) {
		switch {
		case c == 'a':
		case c == '0':
			if s[i] < '0' || s[i] > '9' {
				return false
			}
		case lower(s[i:i+1]) != lower(pattern[i:i+1]):
			return false
		}
	}
	return true
}
