package lockmw

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors a caller branches on, with errors.Is.
var (
	// ErrBusy is a lock that somebody else holds.
	ErrBusy = errors.New("lockmw: busy")
	// ErrSetup is returned when Redis answers, but is not set up for locks: it
	// refuses a command (an ACL, a wrong password), has something else at the key
	// of a lock, is a replica, or is no master of its own as [NewRedlock] needs. It
	// is no outage: [WithDangerousFailOpen] does not apply, and every request that
	// it concerns is logged.
	ErrSetup = errors.New("lockmw: redis is not set up for locks")
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

// unavailable is the error of a call that failed.
func unavailable(err error) error {
	if errors.Is(err, ErrSetup) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// isMistake reports whether waiting and asking again will not help.
func isMistake(err error) bool { return errors.Is(err, ErrSetup) && !errors.Is(err, ErrUnavailable) }

// outages are answers of a server that cannot serve now, without anything
// being wrong with how it was set up.
var outages = [...]string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "MOVED", "ASK", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "NOSCRIPT", "max number of clients"}

// diagnose makes [ErrSetup] of what a server has answered: that is no outage. A
// replica may be the old master of a failover, or a mistake; it is both.
func diagnose(err error) error {
	var answer redis.Error
	if err == nil || !errors.As(err, &answer) || errors.Is(err, ErrSetup) {
		return err
	}
	msg := strings.TrimPrefix(answer.Error(), "ERR ")
	if _, inner, ok := strings.Cut(msg, "@user_script: "); ok { // Redis 6
		msg = inner
	}
	for _, prefix := range outages {
		if strings.HasPrefix(msg, prefix) {
			return err
		}
	}
	if strings.HasPrefix(msg, "READONLY") {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrSetup, err)
	}
	return fmt.Errorf("%w: %w", ErrSetup, err)
}
