package lockerr_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// The texts are in logs and in the state of jobs.
func TestTextsAndMatches(t *testing.T) {
	timeout := &lockerr.BusyError{RetryAfter: time.Second, Cause: context.DeadlineExceeded}
	for text, tc := range map[string]struct{ err, matches, not error }{
		"lockmw: busy":                     {&lockerr.BusyError{}, lockerr.ErrBusy, context.DeadlineExceeded},
		"lockmw: lock lost: expired":       {lockerr.ErrExpired, lockerr.ErrLost, lockerr.ErrTaken},
		"lockmw: lock lost: taken":         {lockerr.ErrTaken, lockerr.ErrLost, lockerr.ErrStateLost},
		"lockmw: lock lost: state-lost":    {lockerr.ErrStateLost, lockerr.ErrLost, lockerr.ErrLockerClosed},
		"lockmw: lock lost: locker-closed": {lockerr.ErrLockerClosed, lockerr.ErrLost, lockerr.ErrExpired},
	} {
		if tc.err.Error() != text || !errors.Is(tc.err, tc.matches) || errors.Is(tc.err, tc.not) {
			t.Errorf("%q: got %q, which matches %v: %t, and %v: %t", text, tc.err, tc.matches, errors.Is(tc.err, tc.matches), tc.not, errors.Is(tc.err, tc.not))
		}
	}
	if !errors.Is(timeout, lockerr.ErrBusy) || !errors.Is(timeout, context.DeadlineExceeded) {
		t.Errorf("%v does not match both of its errors", timeout)
	}
	if timeout.Error() != "lockmw: busy" {
		t.Errorf("%q has its cause in the text", timeout)
	}
}

// What cronlock and idempotency make of this package is what users of lockmw match
// and read.
func TestUsersMatchThemByLockmw(t *testing.T) {
	busy := fmt.Errorf("idempotency: %w", &lockerr.BusyError{RetryAfter: time.Second})
	if !errors.Is(busy, lockmw.ErrBusy) || lockmw.RetryAfter(busy) != time.Second {
		t.Errorf("%v: matches %t, again in %v", busy, errors.Is(busy, lockmw.ErrBusy), lockmw.RetryAfter(busy))
	}
	lost := errors.Join(errors.New("of the job"), lockerr.ErrTaken)
	if !errors.Is(lost, lockmw.ErrLost) || errors.Is(lost, lockmw.ErrBusy) || lockmw.RetryAfter(lost) != 0 {
		t.Errorf("%v: again in %v", lost, lockmw.RetryAfter(lost))
	}
}
