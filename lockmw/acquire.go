package lockmw

import (
	"context"
	"errors"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Acquire acquires the lock of key. It waits until ctx ends; then the error
// matches [ErrBusy] and that of ctx. The lock's context descends from ctx. Release
// the lock in any case:
//
//	k, err := locks.Acquire(ctx, "nightly-report")
//	if err != nil {
//		return err
//	}
//	defer k.Release(ctx)
//
// If Redis does not answer within [WithTimeout], it returns [ErrUnavailable]. It
// waits while Redis answers that it is failing over or loading its data.
func (l *Locker) Acquire(ctx context.Context, key string) (*Lock, error) {
	return l.acquire(ctx, request{key: key, wait: true})
}

// TryAcquire acquires the lock of key if it is free, and returns [ErrBusy] at
// once if it is not. A lock for which others wait is not free: they come first.
func (l *Locker) TryAcquire(ctx context.Context, key string) (*Lock, error) {
	return l.acquire(ctx, request{key: key})
}

// AcquireShared is [Locker.Acquire] for a reader. It needs [WithReadWrite],
// otherwise it returns an [*OptionError].
func (l *Locker) AcquireShared(ctx context.Context, key string) (*Lock, error) {
	return l.acquireShared(ctx, request{key: key, wait: true, share: true})
}

// TryAcquireShared is [Locker.TryAcquire] for a reader. It needs
// [WithReadWrite], otherwise it returns an [*OptionError].
func (l *Locker) TryAcquireShared(ctx context.Context, key string) (*Lock, error) {
	return l.acquireShared(ctx, request{key: key, share: true})
}

func (l *Locker) acquireShared(ctx context.Context, r request) (*Lock, error) {
	if !l.readWrite {
		return nil, &OptionError{Package: "lockmw", Option: "WithReadWrite", Reason: "is needed to share a lock"}
	}
	return l.acquire(ctx, r)
}

// request is what a caller wants.
type request struct {
	key   string
	wait  bool      // if the lock is busy
	until time.Time // zero: as long as the context
	share bool
}

// acquire acquires a lock and tells the hooks.
func (l *Locker) acquire(ctx context.Context, r request) (*Lock, error) {
	if l.isClosed() {
		return nil, ErrClosed
	}
	if l.isHeldBy(ctx, r.key) {
		l.reportFailure(ctx, ErrNested)
		return nil, ErrNested
	}
	started := time.Now()
	a := &acquisition{request: r, l: l, keys: l.keys(r.key), owner: l.newOwner()}
	returned := false
	defer func() {
		if !returned { // a client or a context panics: nothing stays held
			l.abandonTwice(a.keys, a.owner)
		}
	}()
	k, err := a.run(ctx)
	returned = true
	switch {
	case err == nil:
		l.reportAcquired(ctx, k, time.Since(started))
	case errors.Is(err, ErrBusy):
		if l.hooks.Busy != nil {
			l.hooks.Busy(ctx, time.Since(started))
		}
	default:
		l.reportFailure(ctx, err)
	}
	return k, err
}

// reportAcquired tells the hook, and releases k if the hook panics.
func (l *Locker) reportAcquired(ctx context.Context, k *Lock, waited time.Duration) {
	if l.hooks.Acquired == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			_ = k.Release(ctx)
		}
	}()
	l.hooks.Acquired(ctx, k.grant.fence, waited)
	returned = true
}

func (l *Locker) reportFailure(ctx context.Context, err error) {
	if l.hooks.Failed != nil {
		l.hooks.Failed(ctx, err)
	}
}

// acquisition is one call of acquire.
type acquisition struct {
	request

	l      *Locker
	keys   []string
	owner  string
	queued bool // in Redis
}

// run makes an attempt if the lock looks free, then waits in the queue of this
// process for a handoff, then in the queue in Redis. parent is what the lock's
// context descends from.
func (a *acquisition) run(parent context.Context) (*Lock, error) {
	if !a.wait {
		return a.try(parent)
	}
	ctx := parent
	if !a.until.IsZero() {
		timed, cancel := context.WithDeadline(parent, a.until)
		defer cancel()
		ctx = timed
	}
	if a.l.looksFree(a.key) { // as most locks are: no place in a queue for those
		if k, err := a.tryFree(parent, ctx); k != nil || err != nil {
			return k, err
		}
	}
	w := a.l.waiters.enter(a.key)
	defer a.l.waiters.leave(a.key, w)
	switch g := a.l.awaitHandoff(ctx, a.key, w); {
	case g.owner != "":
		a.l.waiters.leave(a.key, w) // the next must be the first before this one releases
		return a.takeOver(parent, g)
	case ctx.Err() != nil:
		return nil, &lockerr.BusyError{RetryAfter: a.l.ttl, Cause: parent.Err()}
	}
	return a.waitInRedis(parent, ctx)
}

// takeOver takes over a lock of this process.
func (a *acquisition) takeOver(parent context.Context, g grant) (*Lock, error) {
	k, err := a.l.newLock(parent, a.key, a.keys, g)
	if err != nil { // the Locker was closed; no one else releases the lock
		a.l.abandonGrant(a.keys, g)
		return nil, err
	}
	if err := parent.Err(); err != nil {
		_ = k.Release(parent) // to the next
		return nil, &lockerr.BusyError{RetryAfter: a.l.ttl, Cause: err}
	}
	return k, nil
}
