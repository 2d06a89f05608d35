package lockmw

import (
	"context"
	"errors"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Release releases the lock and wakes the next waiter. The values of ctx are
// used, such as those of a trace; its cancellation and its deadline are not: the
// lock is released although the client is gone. It takes [WithTimeout] at most.
// It returns [ErrLost] if the lock was lost before, and [ErrUnavailable] if
// Redis does not answer in time: then the release is repeated in the background,
// and at the latest the lease ends. A second call does nothing.
func (k *Lock) Release(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	k.mu.Lock()
	if k.released {
		k.mu.Unlock()
		return nil
	}
	k.released = true
	k.stopTimers()
	lost := k.lost
	k.mu.Unlock()

	defer k.cancel(context.Canceled)
	if k.renewing.TryLock() {
		defer k.renewing.Unlock()
		return k.release(ctx, lost)
	}
	// A renewal is on its way. It must not come after the release: it would
	// give the lock another lease, or a vote.
	done := make(chan error, 1)
	release := func() {
		k.renewing.Lock()
		defer k.renewing.Unlock()
		done <- k.release(ctx, lost)
	}
	if !k.l.inBackground(release) {
		release()
	}
	timeout := time.NewTimer(k.l.timeout)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
	}
	if lost != nil {
		return lost
	}
	return failed("release", errors.New("a renewal has not been answered"))
}

// release hands the lock to the next waiter of this process, or releases it in
// Redis. k.renewing is held.
func (k *Lock) release(ctx context.Context, lost *lockerr.LostError) error {
	k.cancel(context.Canceled)
	if k.l.hooks.Released != nil { // deferred: it may panic
		held := time.Since(k.started)
		defer func() { k.l.hooks.Released(k.parent, k.grant.fence, held) }()
	}
	if lost == nil && k.l.handOff(k) {
		return nil
	}
	err := k.l.releaseInRedis(ctx, k, k.holding(lost != nil))
	if lost != nil {
		return lost
	}
	return err
}

// holding returns what is known of the lock. A waiter of this process that waits in
// Redis is queued there by now, and others may be if the lock was lost.
func (k *Lock) holding(lost bool) holding {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := holding{owner: k.grant.owner, fence: k.grant.fence - uint64(k.grant.handoffs), written: k.written}
	h.written.waiters = h.written.waiters || lost || k.l.waiters.firstInRedis(k.key)
	return h
}

// releaseInRedis releases the lock for the waiters of all processes. What was not
// answered is repeated in the background, also if the client panics.
func (l *Locker) releaseInRedis(ctx context.Context, k *Lock, h holding) error {
	defer l.forget(k)
	answered := false
	defer func() {
		switch { // also when the client panics
		case !answered:
			l.abandonGrant(k.keys, k.grant)
		case k.grant.twice:
			l.abandonTwice(k.keys, k.grant.owner)
		}
	}()
	outcome, err := l.store.release(ctx, k.keys, h)
	answered = err == nil
	switch {
	case err != nil:
		return failed("release", err)
	case outcome == succeeded:
		return nil
	case outcome == otherOwner:
		return lockerr.ErrTaken
	}
	return lockerr.ErrStateLost
}

// forget removes a lock from those that are held.
func (l *Locker) forget(k *Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endHandoffs(k)
	if l.held[k.grant.owner] != k {
		return
	}
	delete(l.held, k.grant.owner)
	if l.closed && len(l.held) == 0 {
		close(l.idle)
	}
}

// abandon gives up in the background what owner may have: a place in the queue,
// or the lock after a reply that was lost. It is tried for the length of a lease,
// then the lease has ended by itself.
func (l *Locker) abandon(keys []string, owner string) {
	l.abandonInBackground(keys, holding{owner: owner, leave: true}, false)
}

// abandonTwice is abandon after a call without a reply: that call may reach
// Redis later than the release, which is therefore sent once more.
func (l *Locker) abandonTwice(keys []string, owner string) {
	l.abandonInBackground(keys, holding{owner: owner, leave: true}, true)
}

// abandonGrant is abandon of a lock that was granted. Its owner is in no queue, unless a
// call that was sent twice is still on its way.
func (l *Locker) abandonGrant(keys []string, g grant) {
	l.abandonInBackground(keys, holding{owner: g.owner, leave: g.twice}, g.twice)
}

// abandonInBackground abandons in the caller's goroutine if Close no longer waits
// for others.
func (l *Locker) abandonInBackground(keys []string, h holding, twice bool) {
	h.abandoned = true
	abandon := func() { l.abandonNow(keys, h, twice) }
	if !l.inBackground(abandon) {
		abandon()
	}
}

// maxAbandonPause is short: after an outage a lock without a holder is free soon.
const maxAbandonPause = 250 * time.Millisecond

// abandonNow sends the release until Redis replies, for the length of a lease. When
// the Locker is closed it is sent once more, if Redis seems to answer, so that Close
// does not wait for a server that is down.
func (l *Locker) abandonNow(keys []string, h holding, twice bool) {
	release := func() error {
		_, err := l.store.release(context.Background(), keys, h)
		return err
	}
	until := time.Now().Add(l.ttl)
	for pause := 10 * time.Millisecond; time.Now().Before(until); pause = min(2*pause, maxAbandonPause) {
		started := time.Now()
		if err := release(); err == nil || isMistake(err) {
			if !twice {
				return
			}
			twice, pause = false, maxAbandonPause
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-l.quit:
			wait.Stop()
			if time.Since(started) < l.timeout/2 { // Redis may answer
				_ = release()
			}
			return
		}
	}
}
