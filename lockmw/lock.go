package lockmw

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
)

// Lock is one held lock. It renews itself at a third of its lease until it is
// released or lost.
type Lock struct {
	l      *Locker
	key    string
	keys   []string
	owner  string
	fence  uint64
	streak int  // how often this process has passed the lock on to itself
	again  bool // asked for twice: see answer.again
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc

	begun    time.Time
	renewing sync.Mutex // held during a renewal; Release waits for it

	mu       sync.Mutex
	since    time.Time   // the call that granted or renewed it was sent then
	next     *time.Timer // the next renewal
	expire   *time.Timer // the end of the lease, from the first renewal on
	lost     *LostError
	released bool
}

// Context ends when the lock is lost, before anybody else can hold it, with a
// cause that matches [ErrLost]; when it is released; and with the context it
// was acquired under.
func (k *Lock) Context() context.Context { return k.ctx }

// Fence is a number that grows from each holder of a key to the next. Store
// it with what the lock protects and refuse writes with a smaller one: that
// holds even where a lock cannot, after a failover or a pause.
func (k *Lock) Fence() uint64 { return k.fence }

// Valid is how long the lock is certainly held if it is not renewed.
func (k *Lock) Valid() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.valid()
}

func (k *Lock) valid() time.Duration { return lease.Left(k.l.ttl, k.since, time.Now()) }

// grant makes the Lock of a successful acquire.
func (l *Locker) grant(ctx context.Context, key string, keys []string, h handed) (*Lock, error) {
	k := &Lock{l: l, key: key, keys: keys, owner: h.owner, fence: h.fence, since: h.since, streak: h.streak, again: h.again, begun: time.Now(), parent: ctx}
	inner, cancel := context.WithCancelCause(context.WithValue(ctx, heldKey{}, k))
	k.ctx, k.cancel = leased{inner, k}, cancel
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		cancel(ErrClosed)
		return nil, ErrClosed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = time.AfterFunc(max(l.ttl/3-time.Since(h.since), 0), k.renew)
	l.held[h.owner] = k
	if !l.several() {
		l.local[key] = k
	}
	return k, nil
}

// leased is the context of a lock. It does not wait for a timer to say that
// the lease is over: a process that wakes up after it looks before the timer runs.
type leased struct {
	context.Context
	k *Lock
}

// Err implements [context.Context].
func (c leased) Err() error {
	err := c.Context.Err()
	if err != nil {
		return err
	}
	if lost := c.k.Lost(); lost != nil {
		c.k.cancel(lost) // whoever noticed first may not have come to that
		err = c.Context.Err()
	}
	return err
}

// isOver reports whether the lock must be given up for want of a renewal.
func (k *Lock) isOver() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.released && k.lost == nil && k.valid() <= lease.Margin(k.l.ttl)
}

func (k *Lock) checkExpired() {
	k.mu.Lock()
	left := k.valid() - lease.Margin(k.l.ttl)
	if left > 0 && !k.released && k.lost == nil {
		k.expire.Reset(left) // it was renewed meanwhile
		k.mu.Unlock()
		return
	}
	k.mu.Unlock()
	k.lose(Expired)
}

// renew runs on a timer, so that an uncontended lock costs no goroutine.
func (k *Lock) renew() {
	k.renewing.Lock()
	defer k.renewing.Unlock()
	k.mu.Lock()
	over := k.released || k.lost != nil
	left := k.valid() - lease.Margin(k.l.ttl)
	if !over && k.expire == nil { // most locks are released before their first renewal
		k.expire = time.AfterFunc(left, k.checkExpired)
	}
	k.mu.Unlock()
	if over {
		return
	}
	if left <= 0 { // a suspended machine: others may have acted meanwhile
		k.lose(Expired)
		return
	}
	l := k.l
	sent := time.Now()
	code, err := l.store.renew(context.WithoutCancel(k.ctx), k.keys, k.owner)
	if l.hooks.Renewed != nil {
		failed := err
		if err == nil && code != 1 {
			failed = ErrLost
		}
		l.hooks.Renewed(k.ctx, left+lease.Margin(l.ttl), failed)
	}
	switch {
	case err != nil:
		k.schedule(l.ttl / 12)
	case code == 1:
		k.mu.Lock()
		late := time.Since(k.since) - l.ttl/3
		k.since = sent
		k.mu.Unlock()
		k.schedule(l.ttl / 3)
		if late > l.ttl/12 && l.hooks.RenewedLate != nil {
			l.hooks.RenewedLate(k.ctx, late)
		}
	case code == 0:
		k.lose(Taken)
	default:
		k.lose(StateLost)
	}
}

func (k *Lock) schedule(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.released && k.lost == nil {
		k.next.Reset(d)
	}
}

// lose ends the context, once.
func (k *Lock) lose(reason Reason) {
	k.mu.Lock()
	if k.released || k.lost != nil {
		k.mu.Unlock()
		return
	}
	k.lost = &LostError{Reason: reason, Fence: k.fence}
	k.stop()
	k.mu.Unlock()
	k.cancel(k.lost)
	k.l.forget(k) // there is nothing to release: Close need not wait
	if k.l.hooks.Lost != nil {
		k.l.hooks.Lost(k.ctx, k.lost)
	}
}

// stop stops the timers. k.mu is held.
func (k *Lock) stop() {
	k.next.Stop()
	if k.expire != nil {
		k.expire.Stop()
	}
}

// Lost returns the error of a lock that was lost, nil while it is held.
func (k *Lock) Lost() error {
	if k.isOver() {
		k.lose(Expired)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost == nil {
		return nil
	}
	return k.lost
}

// Release lets the lock go and wakes the next waiter. It runs although ctx may
// have ended, and takes a node timeout at most. It returns a [*LostError] if
// the lock was lost before, and [ErrUnavailable] if Redis does not answer in
// time: it is tried on in the background then, and the lease ends by itself. A
// second call does nothing.
func (k *Lock) Release(context.Context) error {
	k.mu.Lock()
	if k.released {
		k.mu.Unlock()
		return nil
	}
	k.released = true
	k.stop()
	lost := k.lost
	k.mu.Unlock()

	defer k.cancel(context.Canceled)
	if k.renewing.TryLock() {
		defer k.renewing.Unlock()
		return k.let(lost)
	}
	// A renewal is on its way. It must not come after the release: it would
	// give the lock another lease, or a vote.
	done := make(chan error, 1)
	let := func() {
		k.renewing.Lock()
		defer k.renewing.Unlock()
		done <- k.let(lost)
	}
	if !k.l.inBackground(let) {
		let()
	}
	patience := time.NewTimer(k.l.nodeTimeout)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
	}
	if lost != nil {
		return lost
	}
	return unavailable(errors.New("a renewal has no answer"))
}

// let is the end of a release. k.renewing is held.
func (k *Lock) let(lost *LostError) error {
	k.cancel(context.Canceled)
	if k.l.hooks.Released != nil { // deferred: it may panic
		held := time.Since(k.begun)
		defer func() { k.l.hooks.Released(k.parent, k.fence, held) }()
	}
	if lost == nil && k.l.passOn(k) {
		return nil
	}
	err := k.l.giveBack(k)
	if lost != nil {
		return lost
	}
	return err
}

func (l *Locker) giveBack(k *Lock) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.nodeTimeout)
	defer cancel()
	code, err := l.store.let(ctx, k.keys, k.owner, false)
	switch {
	case err != nil:
		l.undo(k.keys, k.owner)
	case k.again:
		l.undoUnanswered(k.keys, k.owner)
	}
	l.forget(k)
	switch {
	case err != nil:
		return unavailable(err)
	case code == 1:
		return nil
	case code == 0:
		return &LostError{Reason: Taken, Fence: k.fence}
	}
	return &LostError{Reason: StateLost, Fence: k.fence}
}

func (k *Lock) isReleased() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.released
}

// forget strikes a lock off the list of those held.
func (l *Locker) forget(k *Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disinherit(k)
	if l.held[k.owner] != k {
		return
	}
	delete(l.held, k.owner)
	if l.closed && len(l.held) == 0 {
		close(l.idle)
	}
}
