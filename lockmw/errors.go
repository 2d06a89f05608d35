package lockmw

import (
	"errors"
	"fmt"
	"time"

	"github.com/redishttp/redishttp/internal/unavailable"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Errors a caller branches on, with errors.Is.
var (
	// ErrBusy is returned when another holds the lock. [RetryAfter] has a hint when
	// to try again.
	ErrBusy = lockerr.ErrBusy
	// ErrUnavailable is returned when Redis does not answer, or cannot grant writes
	// now. It is the same error in all packages of this module.
	ErrUnavailable = unavailable.Err
	// ErrSetup is returned when Redis answers, but is not set up for locks: it
	// refuses a command (an ACL, a wrong password), has something else at the key
	// of a lock, is a replica, is no independent master as [NewRedlock] needs, or
	// the lock is held with a different [WithPermits]. It is not an outage:
	// [DangerouslyFailOpen] does not apply, and each request concerned is logged. A
	// replica and a different number of permits match [ErrUnavailable], too.
	ErrSetup = errors.New("lockmw: redis is not set up for locks")
	// ErrLost is the cause of a lock's context after the lock was lost. The text of
	// the error ends with the reason, see [Hooks].
	ErrLost = lockerr.ErrLost
	// ErrNested is returned when the same chain of calls already holds the lock: it
	// would wait for itself.
	ErrNested = errors.New("lockmw: already held by this request")
	// ErrClosed is returned after the start of [Locker.Close].
	ErrClosed = errors.New("lockmw: closed")
	// ErrQueueFull is returned when the lock has [WithMaxWaiters] waiters. It
	// matches [ErrUnavailable], too.
	ErrQueueFull = fmt.Errorf("lockmw: too many waiters%w", silent{ErrUnavailable})
	// ErrNoKey is the reason of a request for which the [KeyFunc] fails or returns
	// "". It wraps the error of the KeyFunc.
	ErrNoKey = errors.New("lockmw: no key for a request")
)

// errPermits is why a lock with a different number of permits is not granted.
var errPermits = fmt.Errorf("%w: held with a different number of permits%w", ErrSetup, silent{ErrUnavailable})

// silent is an error that is matched and not printed.
type silent struct{ error }

func (silent) Error() string { return "" }

func (s silent) Unwrap() error { return s.error }

// RetryAfter returns what is left of the lease of the holder, who may renew it, if
// err is an [ErrBusy] that knows it; otherwise 0. It is a hint when to try again.
func RetryAfter(err error) time.Duration {
	if busy, ok := errors.AsType[*lockerr.BusyError](err); ok {
		return busy.RetryAfter
	}
	return 0
}
