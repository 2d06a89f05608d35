package lockmw

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// attempt makes one attempt in Redis. The wait may end while the call is on
// its way; its result would be unknown then, so the call is not cut short.
func (a *acquisition) attempt(ctx context.Context, enqueue bool) (reply, error) {
	return a.l.store.acquire(context.WithoutCancel(ctx), a.keys, a.owner, query{share: a.share, enqueue: enqueue, queued: enqueue && a.queued})
}

// try is the one attempt of a caller that does not wait.
func (a *acquisition) try(parent context.Context) (*Lock, error) {
	sent := time.Now()
	r, err := a.attempt(parent, false)
	k, conclusive, err := a.conclude(parent, r, err, sent)
	if conclusive {
		return k, err
	}
	if r.split {
		a.l.abandon(a.keys, a.owner)
	}
	return nil, &lockerr.BusyError{RetryAfter: r.left}
}

// tryFree is the first attempt of a caller that may wait. It returns nothing if
// it has to.
func (a *acquisition) tryFree(parent, ctx context.Context) (*Lock, error) {
	sent := time.Now()
	r, err := a.attempt(ctx, false)
	switch {
	case err != nil && isTransient(err), err == nil && r.mismatch:
		return nil, nil // the next attempt says more
	case r.split:
		a.restart()
		return nil, nil
	}
	k, _, err := a.conclude(parent, r, err, sent)
	return k, err
}

// restart gives up the votes that were won, which would keep others from a
// majority, and continues as another owner.
func (a *acquisition) restart() {
	a.l.abandon(a.keys, a.owner)
	a.owner = a.l.newOwner()
}

// waitInRedis makes attempts until one is granted or ctx ends. Of all waiters of
// a process only the first in its queue does.
func (a *acquisition) waitInRedis(parent, ctx context.Context) (*Lock, error) {
	woken, unregister := a.l.wake.register(a.owner) // before it is queued: a release may name it at once
	defer unregister()
	for {
		sent := time.Now()
		r, failure := a.attempt(ctx, true)
		switch {
		// a failover is waited out like a busy lock
		case failure != nil && isTransient(failure):
			r.left = 50 * time.Millisecond
		case r.split:
			a.restart()
		default:
			if k, conclusive, err := a.conclude(parent, r, failure, sent); conclusive {
				return k, err
			}
			a.queued = true
		}
		if err := a.pause(ctx, woken, r.left); err != nil {
			a.l.abandon(a.keys, a.owner)
			if failure != nil {
				return nil, failed("acquire", failure)
			}
			return nil, &lockerr.BusyError{RetryAfter: r.left, Cause: parent.Err()}
		}
		if a.l.isClosed() {
			a.l.abandon(a.keys, a.owner)
			return nil, ErrClosed
		}
	}
}

// pause waits until the waiter is woken, the lock may be free, or it is time to
// poll. It fails if ctx ends first.
func (a *acquisition) pause(ctx context.Context, woken <-chan struct{}, left time.Duration) error {
	poll := time.Second
	if a.l.rdb != nil && a.queued {
		poll = a.l.wake.follow(a.keys[0])
	}
	timer := time.NewTimer(min(left+time.Millisecond, poll+rand.N(poll/10)))
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// conclude turns a reply into a Lock or an error. It is not conclusive if the
// lock is busy.
func (a *acquisition) conclude(parent context.Context, r reply, err error, sent time.Time) (k *Lock, conclusive bool, _ error) {
	switch {
	case err != nil:
		a.l.abandonTwice(a.keys, a.owner)
		return nil, true, failed("acquire", err)
	case r.granted:
		k, err = a.accept(parent, r, sent)
		return k, true, err
	case r.mismatch:
		return nil, true, errPermits
	case r.full:
		return nil, true, ErrQueueFull
	}
	return nil, false, nil
}

// accept makes a Lock of a grant, unless the caller has left or too little of
// the lease remains after a slow call.
func (a *acquisition) accept(parent context.Context, r reply, sent time.Time) (*Lock, error) {
	l, g := a.l, grant{owner: a.owner, fence: r.fence, since: sent, written: r.written, twice: r.twice}
	if err := parent.Err(); err != nil {
		l.abandonGrant(a.keys, g)
		return nil, &lockerr.BusyError{RetryAfter: l.ttl, Cause: err}
	}
	if time.Since(sent) > l.ttl/2 {
		l.abandonGrant(a.keys, g)
		return nil, failed("acquire", errors.New("the reply took half of the lease"))
	}
	k, err := l.newLock(parent, a.key, a.keys, g)
	if err != nil {
		l.abandonGrant(a.keys, g)
	}
	return k, err
}
