// Package lockerr has the errors with details that lockmw, cronlock and
// idempotency return. Callers read the details with functions of lockmw.
package lockerr

import (
	"errors"
	"time"
)

// ErrBusy is lockmw.ErrBusy.
var ErrBusy = errors.New("lockmw: busy")

// BusyError is an [ErrBusy] with a hint when to try again.
type BusyError struct {
	// RetryAfter is what is left of the holder's lease, which it may renew.
	RetryAfter time.Duration
	// Cause is the error of the context that ended the wait, if one did.
	Cause error
}

func (e *BusyError) Error() string { return ErrBusy.Error() }

// Unwrap returns [ErrBusy] and the cause.
func (e *BusyError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrBusy}
	}
	return []error{ErrBusy, e.Cause}
}
