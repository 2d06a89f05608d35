package rules

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

func date(h http.Header, now time.Time) time.Time {
	if at, err := parseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

var errTime = errors.New("not an HTTP date")

// parseTime reads an HTTP date in its three forms (RFC 9110, section 5.6.7),
// of exactly that shape: package time takes one digit for two, and any number of spaces.
func parseTime(s string) (time.Time, error) {
	const long, ansi = len(http.TimeFormat), len(time.ANSIC)
	_, obsolete, _ := strings.Cut(s, ", ")
	switch {
	case len(s) == long && strings.EqualFold(s[long-3:], "GMT"):
		s = s[:long-3] + "GMT"
	case len(s) == ansi:
	case len(obsolete) == len("02-Jan-06 15:04:05 GMT"):
	default:
		return time.Time{}, errTime
	}
	return http.ParseTime(s)
}
