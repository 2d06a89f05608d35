package lockmw

import (
	"net/http"
	"time"
)

// FailureMode is what [Locker.Handler] does while Redis is unavailable.
type FailureMode int

const (
	// FailClosed refuses requests with 503.
	FailClosed FailureMode = iota
	// DangerouslyFailOpen runs handlers without the lock, so that two may run at
	// the same time. [FromContext] says whether there is a lock. It does not apply
	// to [ErrSetup] and [ErrQueueFull].
	DangerouslyFailOpen
)

// WithFailureMode sets what Handler does while Redis is unavailable. The default
// is [FailClosed]. Use [DangerouslyFailOpen] only if the lock saves work rather
// than guards data.
func WithFailureMode(mode FailureMode) Option {
	return optionFunc(func(c *config) { c.failureMode = mode })
}

// WithKey sets the key of a request: requests with one key exclude each other.
// The default is lockkey.Path: the path, without method, host and query. Use it when
// the path does not name the thing that is changed.
func WithKey(key KeyFunc) Option { return optionFunc(func(c *config) { c.key = key }) }

// WithMethods sets the methods that are guarded. Requests with others pass. The
// default, also of none, is all. Use it when reads need no lock.
func WithMethods(methods ...string) Option {
	return optionFunc(func(c *config) { c.methods = methods })
}

// WithWait sets how long Handler waits for a busy lock. With 0 it makes one
// attempt; a negative value is a mistake. The default is 5s. Choose it below the
// timeout of clients.
func WithWait(d time.Duration) Option { return optionFunc(func(c *config) { c.wait = d }) }

// WithDenyHandler sets the handler that responds to refused requests.
// [DenyReason] has the reason; Retry-After and Cache-Control are set. It may send
// a status of its own, such as 423 for a busy lock; what it writes without one has
// the status of the default response, which is application/problem+json. Use it for
// pages or for an API with its own errors.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }
