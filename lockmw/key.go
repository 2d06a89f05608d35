package lockmw

import (
	"net/http"

	"github.com/redishttp/redishttp/internal/keypart"
)

// KeyFunc returns the key that a request locks. Requests with one key exclude
// each other. If it fails, or returns "", the request is refused with 500 and
// the reason is logged: requests without a key never share a lock.
//
// The key should name the thing that is changed, however the client spells it.
// Everything a function adds to it (a method, a host, a header) splits the lock.
// Package lockkey has functions for usual keys.
type KeyFunc func(*http.Request) (string, error)

// Join makes one key of several parts, for example Join("order", id). Different
// parts never give the same key, whatever they contain: ("a:b", "c") is not ("a",
// "b:c").
func Join(parts ...string) string { return keypart.Join(parts...) }
