// Package lockerr has the errors with details that lockmw, cronlock and
// idempotency return. Callers read the details with functions of lockmw.
package lockerr

import (
	"errors"
	"time"
)

// ErrBusy is lockmw.ErrBusy.
var ErrBusy = errors.New("lockmw: busy")

// Busy is an [ErrBusy] with a hint when to try again.
type Busy struct {
	// RetryAfter is what is left of the holder's lease, which it may renew.
	RetryAfter time.Duration
	// Cause is the error of the context that ended the wait, if one did.
	Cause error
}

func (e *Busy) Error() string { return ErrBusy.Error() }

// Unwrap returns [ErrBusy] and the cause.
func (e *Busy) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrBusy}
	}
	return []error{ErrBusy, e.Cause}
}
