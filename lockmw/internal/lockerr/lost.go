package lockerr

import "errors"

// ErrLost is lockmw.ErrLost.
var ErrLost = errors.New("lockmw: lock lost")

// Lost is an [ErrLost] with its reason, which users know from lockmw.Hooks.
type Lost struct{ Reason string }

// The reasons.
var (
	// Expired is the loss of a lock that could not be renewed in time.
	Expired = &Lost{"expired"}
	// Taken is the loss of a lock that another owner acquired, or that an operator
	// took away.
	Taken = &Lost{"taken"}
	// StateLost is the loss of a lock that Redis lost: it was flushed or failed over.
	StateLost = &Lost{"state-lost"}
	// LockerClosed is the loss of a lock that was still held when Close gave up
	// waiting.
	LockerClosed = &Lost{"locker-closed"}
)

func (e *Lost) Error() string { return ErrLost.Error() + ": " + e.Reason }

// Unwrap returns [ErrLost].
func (*Lost) Unwrap() error { return ErrLost }
