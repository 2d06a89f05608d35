package lockmw

import (
	"context"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// renew extends the lease. It runs on a timer, so that a lock without
// contention costs no goroutine.
func (k *Lock) renew() {
	k.renewing.Lock()
	defer k.renewing.Unlock()
	k.mu.Lock()
	ended := k.released || k.lost != nil
	left := k.valid() - lease.Margin(k.l.ttl)
	if !ended && k.expiry == nil { // not before: most locks are released before their first renewal
		k.expiry = time.AfterFunc(left, k.checkExpiry)
	}
	k.mu.Unlock()
	if ended {
		return
	}
	if left <= 0 { // the machine was suspended: others may have acted since
		k.lose(lockerr.ErrExpired)
		return
	}
	l, sent := k.l, time.Now()
	r, err := l.store.renew(context.WithoutCancel(k.ctx), k.keys, k.grant.owner)
	k.note(r.written)
	k.reportRenewal(left+lease.Margin(l.ttl), r.outcome, err)
	switch {
	case err != nil:
		k.scheduleRenewal(l.ttl / 12)
	case r.outcome == succeeded:
		k.renewed(sent)
	case r.outcome == otherOwner:
		k.lose(lockerr.ErrTaken)
	default:
		k.lose(lockerr.ErrStateLost)
	}
}

// renewed counts the lease from the moment the call was sent, since the server
// extended it no earlier.
func (k *Lock) renewed(sent time.Time) {
	ttl := k.l.ttl
	k.mu.Lock()
	late := time.Since(k.since) - ttl/3
	k.since = sent
	k.mu.Unlock()
	k.scheduleRenewal(ttl / 3)
	if late > ttl/12 && k.l.hooks.RenewedLate != nil {
		k.l.hooks.RenewedLate(k.ctx, late)
	}
}

// note takes what the reply to a renewal says of the lock, nothing if there is none.
func (k *Lock) note(w written) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written = w
}

// reportRenewal tells the hook.
func (k *Lock) reportRenewal(left time.Duration, outcome outcome, err error) {
	if k.l.hooks.Renewed == nil {
		return
	}
	if err == nil && outcome != succeeded {
		err = ErrLost
	}
	k.l.hooks.Renewed(k.ctx, left, err)
}

// scheduleRenewal sets the timer of the next renewal, unless the lock has ended.
func (k *Lock) scheduleRenewal(in time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.released && k.lost == nil {
		k.renewal.Reset(in)
	}
}

// checkExpiry runs when the lease is about to end.
func (k *Lock) checkExpiry() {
	k.mu.Lock()
	left := k.valid() - lease.Margin(k.l.ttl)
	if left > 0 && !k.released && k.lost == nil { // it was renewed
		k.expiry.Reset(left)
		k.mu.Unlock()
		return
	}
	k.mu.Unlock()
	k.lose(lockerr.ErrExpired)
}

// lostError returns why the lock was lost, nil while it is held. A lock whose
// lease is about to end is lost.
func (k *Lock) lostError() error {
	if k.isExpired() {
		k.lose(lockerr.ErrExpired)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost == nil {
		return nil
	}
	return k.lost
}

// isExpired reports whether the lock must be given up because it could not be
// renewed: the margin at the end of a lease is for its holder to stop.
func (k *Lock) isExpired() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.released && k.lost == nil && k.valid() <= lease.Margin(k.l.ttl)
}

// lose ends the lock's context, once.
func (k *Lock) lose(lost *lockerr.LostError) {
	k.mu.Lock()
	if k.released || k.lost != nil {
		k.mu.Unlock()
		return
	}
	k.lost = lost
	k.stopTimers()
	k.mu.Unlock()
	k.cancel(lost)
	k.l.forget(k) // there is nothing to release: Close need not wait
	if k.l.hooks.Lost != nil {
		k.l.hooks.Lost(k.ctx, k.grant.fence, lost.Reason)
	}
}

// stopTimers stops the renewals. k.mu is held.
func (k *Lock) stopTimers() {
	k.renewal.Stop()
	if k.expiry != nil {
		k.expiry.Stop()
	}
}
