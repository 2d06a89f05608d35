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

// Reason says why a request was refused, for [Hooks] and [RefusalFromContext].
// It is the fragment of the problem's type.
type Reason string

// The reasons, with the statuses they are answered with.
const (
	Missing         Reason = "missing"         // 400: no key
	Malformed       Reason = "malformed"       // 400: not one short string, or a body that breaks off
	TooLarge        Reason = "too-large"       // 413: the body
	Mismatch        Reason = "mismatch"        // 422: the key was used with another payload
	Busy            Reason = "busy"            // 409 and Retry-After: the same request is under way
	UnknownOutcome  Reason = "unknown-outcome" // 409: it began, and it is not known how it ended
	ResponseNotKept Reason = "not-kept"        // 409: it was done, what it answered was not kept
	Unavailable     Reason = "unavailable"     // 503 and Retry-After: Redis does not answer
	NoScope         Reason = "no-scope"        // 500: the ScopeFunc names no user
	Misused         Reason = "misused"         // 500: the handler is wrapped twice, or the body was read before
)

// reasonOf returns the reason for an error of [Keeper.Begin].
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, ErrMismatch):
		return Mismatch
	case errors.Is(err, ErrUnknown):
		return UnknownOutcome
	case errors.Is(err, ErrNotKept):
		return ResponseNotKept
	case errors.Is(err, ErrIncomplete):
		return NoScope
	case errors.Is(err, lockmw.ErrBusy):
		return Busy
	case errors.Is(err, lockmw.ErrNested):
		return Misused
	}
	return Unavailable
}

// Outcome says how an attempt ended, and so what a retry gets. Hooks.Ran gets
// it.
type Outcome string

// The outcomes.
const (
	Kept      Outcome = "kept"      // a retry gets the result
	NotKept   Outcome = "not-kept"  // a retry is refused: it was done
	Forgotten Outcome = "forgotten" // nothing came of it: a retry runs
	Unknown   Outcome = "unknown"   // a retry is refused, or runs with WithRerun
)
