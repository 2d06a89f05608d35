package store

import "net/http"

// Class is what requests have in common that a response like "private" or
// Set-Cookie is for: that of a first visit says nothing of those with a cookie.
type Class byte

const (
	plain      Class = 'n'
	withCookie Class = 'c'
)

// ClassOf returns the class of a request with these fields.
func ClassOf(h http.Header) Class {
	if len(h["Cookie"]) > 0 {
		return withCookie
	}
	return plain
}
