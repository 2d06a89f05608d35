package idempotency

import (
	"errors"

	"github.com/redishttp/redishttp/lockmw"
)

// Errors of [Keeper.Begin] and [Run], to test with [errors.Is], beside
// [lockmw.ErrBusy] and [ErrUnavailable].
var (
	// ErrMismatch is returned for a key that was used with another payload. The
	// client must use a new key.
	ErrMismatch = errors.New("idempotency: the key was used with another payload")
	// ErrUnknown is returned for an operation that began and of which it is not
	// known whether it was done. A retry gets it until [WithTTL] is over, or
	// runs with [WithRerun].
	ErrUnknown = errors.New("idempotency: the outcome is unknown")
	// ErrNotKept is returned for an operation that was done and whose result
	// was not kept, see [Run.Spend].
	ErrNotKept = errors.New("idempotency: done, but the result was not kept")
	// ErrSuperseded is returned by Keep, Spend and Forget for an attempt that
	// lost its lock, and since which another has begun: the result is not
	// recorded.
	ErrSuperseded = errors.New("idempotency: another attempt has begun")
	// ErrIncomplete is returned for an [Operation] without a scope or a key.
	ErrIncomplete = errors.New("idempotency: an operation needs a scope and a key")
)

// reasonOf returns why a request is refused for which [Keeper.Begin] fails.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, ErrMismatch):
		return reasonMismatch
	case errors.Is(err, ErrUnknown):
		return reasonUnknownOutcome
	case errors.Is(err, ErrNotKept):
		return reasonResponseNotKept
	case errors.Is(err, ErrIncomplete):
		return reasonNoScope
	case errors.Is(err, lockmw.ErrBusy):
		return reasonBusy
	case errors.Is(err, lockmw.ErrNested):
		return reasonMisused
	}
	return reasonUnavailable
}
