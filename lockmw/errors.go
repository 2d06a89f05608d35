package lockmw

import (
	"errors"
	"fmt"
	"time"
)

// Errors a caller branches on, with errors.Is.
var (
	// ErrBusy is a lock that somebody else holds.
	ErrBusy = errors.New("lockmw: busy")
	// ErrUnavailable is a Redis that does not answer, or does not grant writes.
	ErrUnavailable = errors.New("lockmw: redis is unavailable")
	// ErrLost is a lock that was lost while it was held: the cause of its
	// context.
	ErrLost = errors.New("lockmw: lock lost")
	// ErrNested is a lock that the same chain of calls holds already.
	ErrNested = errors.New("lockmw: already held by this request")
	// ErrClosed is the use of a closed Locker.
	ErrClosed = errors.New("lockmw: closed")
	// ErrQueueFull is a lock with too many waiters. It is [ErrUnavailable] too.
	ErrQueueFull = fmt.Errorf("%w: too many waiters", ErrUnavailable)
)

// BusyError is an [ErrBusy] with a hint.
type BusyError struct {
	// RetryAfter is what is left of the holder's lease, which it may renew.
	RetryAfter time.Duration
	cause      error
}

func (e *BusyError) Error() string { return ErrBusy.Error() }

// Is reports whether target is [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// Unwrap is why the wait ended: the context's error, or nil.
func (e *BusyError) Unwrap() error { return e.cause }

// Reason says how a lock was lost.
type Reason string

// The reasons.
const (
	Expired     Reason = "expired"    // it could not be renewed in time
	Taken       Reason = "taken"      // somebody else holds it
	StateLost   Reason = "state-lost" // Redis was flushed or failed over
	LockerClose Reason = "locker-closed"
)

// LostError is an [ErrLost] with its reason.
type LostError struct {
	Reason Reason
	Fence  uint64
}

func (e *LostError) Error() string { return fmt.Sprintf("%v: %s", ErrLost, e.Reason) }

// Is reports whether target is [ErrLost].
func (e *LostError) Is(target error) bool { return target == ErrLost }
