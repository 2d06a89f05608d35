package store

import "net/http"

// Class is the kind of requests that a hit-for-miss mark is for. A response that is private
// or sets a cookie, to a request without one, does not predict those to requests with a
// cookie, so each class has marks of its own.
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
