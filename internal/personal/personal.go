// Package personal lets a middleware that knows the client tell inner ones that
// a response is about that client. The session says so when it is used, and the
// cache does not store what comes after that. It is here because neither may
// import the other, and because the header cannot say it: the session's Vary is
// written when the cache has already decided.
package personal

import "context"

// Key is the context key of a [Reader].
type Key struct{}

// Reader is the value of [Key]: a middleware's state of one request.
type Reader interface {
	// HasReadClient reports whether the client's identity has been read, by this
	// middleware or an outer one.
	HasReadClient() bool
}

// Touched reports whether an outer middleware has read the client's identity.
func Touched(ctx context.Context) bool {
	r, ok := ctx.Value(Key{}).(Reader)
	return ok && r.HasReadClient()
}
