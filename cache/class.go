package cache

import "net/http"

// class is what requests have in common that a response like "private" or
// Set-Cookie is for: that of a first visit says nothing of those with a cookie.
type class byte

const (
	plain      class = 'n'
	withCookie class = 'c'
)

func classOf(h http.Header) class {
	if len(h["Cookie"]) > 0 {
		return withCookie
	}
	return plain
}
