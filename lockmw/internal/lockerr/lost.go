package lockerr

import "errors"

// ErrLost is lockmw.ErrLost.
var ErrLost = errors.New("lockmw: lock lost")

// LostError is an [ErrLost] with its reason, which users know from lockmw.Hooks.
type LostError struct{ Reason string }

// The reasons.
var (
	// ErrExpired is the loss of a lock that could not be renewed in time.
	ErrExpired = &LostError{"expired"}
	// ErrTaken is the loss of a lock that another owner acquired, or that an operator
	// took away.
	ErrTaken = &LostError{"taken"}
	// ErrStateLost is the loss of a lock that Redis lost: it was flushed or failed over.
	ErrStateLost = &LostError{"state-lost"}
	// ErrLockerClosed is the loss of a lock that was still held when Close gave up
	// waiting.
	ErrLockerClosed = &LostError{"locker-closed"}
)

func (e *LostError) Error() string { return ErrLost.Error() + ": " + e.Reason }

// Unwrap returns [ErrLost].
func (*LostError) Unwrap() error { return ErrLost }
