package lockmw

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// Acquire takes the lock of key and waits for it until ctx ends; then the
// error matches [ErrBusy] and ctx's. The lock's context descends from ctx.
func (l *Locker) Acquire(ctx context.Context, key string) (*Lock, error) {
	return l.take(ctx, key, time.Time{}, true, false)
}

// TryAcquire takes the lock of key if it is free, and returns a [*BusyError]
// at once if it is not.
func (l *Locker) TryAcquire(ctx context.Context, key string) (*Lock, error) {
	return l.take(ctx, key, time.Time{}, false, false)
}

// transient are answers of a server that will soon serve, or has been
// replaced.
func transient(err error) bool {
	for _, prefix := range []string{"READONLY", "LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// take acquires the lock; a zero until waits as long as ctx.
func (l *Locker) take(ctx context.Context, key string, until time.Time, wait, share bool) (*Lock, error) {
	if l.isClosed() {
		return nil, ErrClosed
	}
	if holds(ctx, l, key) {
		l.failed(ctx, ErrNested)
		return nil, ErrNested
	}
	start := time.Now()
	w := &waiting{l: l, key: key, keys: l.keys(key), owner: l.newOwner(), until: until, query: query{share: share, queue: wait}}
	back := false
	defer func() {
		if !back { // a client or a context panics: nothing stays held
			l.undoUnanswered(w.keys, w.owner)
		}
	}()
	k, err := w.run(ctx)
	back = true
	switch {
	case err == nil:
		l.acquired(ctx, k, time.Since(start))
	case errors.Is(err, ErrBusy):
		if l.hooks.Busy != nil {
			l.hooks.Busy(ctx, time.Since(start))
		}
	default:
		l.failed(ctx, err)
	}
	return k, err
}

// acquired tells the hook, and lets k go if that panics.
func (l *Locker) acquired(ctx context.Context, k *Lock, waited time.Duration) {
	if l.hooks.Acquired == nil {
		return
	}
	told := false
	defer func() {
		if !told {
			_ = k.Release(ctx)
		}
	}()
	l.hooks.Acquired(ctx, k.fence, waited)
	told = true
}

func (l *Locker) failed(ctx context.Context, err error) {
	if l.hooks.Failed != nil {
		l.hooks.Failed(ctx, err)
	}
}

// waiting is one call of take.
type waiting struct {
	l     *Locker
	key   string
	keys  []string
	owner string
	until time.Time
	query
}

func (w *waiting) run(ctx context.Context) (*Lock, error) {
	if w.until.IsZero() {
		return w.contend(ctx, ctx)
	}
	timed, cancel := context.WithDeadline(ctx, w.until)
	defer cancel()
	return w.contend(ctx, timed)
}

// contend asks Redis until it grants the lock or timed ends. Of all waiters of
// a process only the first in line asks. parent is what the lock's context
// descends from.
func (w *waiting) contend(parent, timed context.Context) (*Lock, error) {
	l := w.l
	if w.queue && l.alone(w.key) { // most locks are free: no place in a line for those
		sent := time.Now()
		a, err := l.store.ask(context.WithoutCancel(timed), w.keys, w.owner, query{share: w.share})
		switch {
		case err == nil && a.granted:
			return w.granted(parent, a, sent)
		case err != nil && !transient(err):
			l.undoUnanswered(w.keys, w.owner)
			return nil, unavailable(err)
		case a.split:
			l.undo(w.keys, w.owner)
			w.owner = l.newOwner()
		}
	}
	if w.queue {
		p, leave, err := l.lines.enter(timed, w.key)
		defer leave()
		var h handed
		if err == nil {
			h = l.inherit(timed, w.key, p)
		} else {
			h = l.lines.withdraw(p) // it may have been given meanwhile
		}
		switch {
		case h.owner != "":
			leave() // the next must be first before this one lets go
			return w.inherited(parent, h)
		case timed.Err() != nil:
			return nil, &BusyError{RetryAfter: l.ttl, cause: parent.Err()}
		}
	}
	var turn <-chan struct{}
	if w.queue {
		ch, done := l.wake.wait(w.owner) // before it is queued: a release may name it at once
		defer done()
		turn = ch
	}
	for {
		sent := time.Now()
		// The wait may end while the call is on its way; its result is then
		// unknown, so it is not cut short.
		a, err := l.store.ask(context.WithoutCancel(timed), w.keys, w.owner, w.query)
		switch {
		case err != nil && !(w.queue && transient(err)):
			l.undoUnanswered(w.keys, w.owner)
			return nil, unavailable(err)
		case err != nil:
			a.left = 50 * time.Millisecond
		case a.granted:
			return w.granted(parent, a, sent)
		case a.mismatch:
			return nil, ErrPermits
		case a.full:
			return nil, ErrQueueFull
		case !w.queue:
			if a.split {
				l.undo(w.keys, w.owner)
			}
			return nil, &BusyError{RetryAfter: a.left}
		case a.split: // what it got would keep others from a majority
			l.undo(w.keys, w.owner)
			w.owner = l.newOwner()
		default:
			w.queued = true
		}
		most := time.Second
		if l.rdb != nil && w.queued {
			most = l.wake.follow(w.keys[0])
		}
		pause := time.NewTimer(min(a.left+time.Millisecond, most+rand.N(most/10)))
		select {
		case <-turn:
		case <-pause.C:
		case <-timed.Done():
			pause.Stop()
			l.undo(w.keys, w.owner)
			if err != nil {
				return nil, unavailable(err)
			}
			return nil, &BusyError{RetryAfter: a.left, cause: parent.Err()}
		}
		pause.Stop()
		if l.isClosed() {
			l.undo(w.keys, w.owner)
			return nil, ErrClosed
		}
	}
}

// granted checks that enough of the lease is left after a slow call.
func (w *waiting) granted(parent context.Context, a answer, sent time.Time) (*Lock, error) {
	l := w.l
	if err := parent.Err(); err != nil {
		l.undo(w.keys, w.owner)
		return nil, &BusyError{RetryAfter: l.ttl, cause: err}
	}
	if time.Since(sent) > l.ttl/2 {
		l.undo(w.keys, w.owner)
		return nil, unavailable(errors.New("the answer took half of the lease"))
	}
	k, err := l.grant(parent, w.key, w.keys, handed{owner: w.owner, fence: a.fence, since: sent, again: a.again})
	if err != nil {
		l.undo(w.keys, w.owner)
	}
	return k, err
}

// inherited takes over a lock of this process.
func (w *waiting) inherited(parent context.Context, h handed) (*Lock, error) {
	l := w.l
	k, err := l.grant(parent, w.key, w.keys, h)
	if err != nil { // closed meanwhile; the lock is nobody's any more
		l.undo(w.keys, h.owner)
		return nil, err
	}
	if err := parent.Err(); err != nil {
		_ = k.Release(parent) // to the next
		return nil, &BusyError{RetryAfter: l.ttl, cause: err}
	}
	return k, nil
}

type heldKey struct{}

// holds reports whether the chain of calls that ctx belongs to holds the lock.
func holds(ctx context.Context, l *Locker, key string) bool {
	for {
		k, ok := ctx.Value(heldKey{}).(*Lock)
		if !ok {
			return false
		}
		if k.l == l && k.key == key && !k.isReleased() {
			return true
		}
		ctx = k.parent
	}
}

// FromContext returns the innermost lock held by the request.
func FromContext(ctx context.Context) (*Lock, bool) {
	k, ok := ctx.Value(heldKey{}).(*Lock)
	return k, ok
}
