// Package personal lets a middleware that knows the client tell inner ones that
// a response is about that client. The session says so when it is used,
// and the cache does not store what then comes. It is here because neither may
// import the other, and because the header cannot say it: the session's Vary
// is written when the cache has already decided.
package personal

import "context"

// Key is the context key under which a func() bool tells whether the request's
// client has been looked at.
type Key struct{}

// Touched reports whether an outer middleware says so.
func Touched(ctx context.Context) bool {
	touched, ok := ctx.Value(Key{}).(func() bool)
	return ok && touched()
}
