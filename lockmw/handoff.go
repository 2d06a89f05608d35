package lockmw

import "context"

// A handoff passes a lock to the next waiter of the process without a round
// trip: in Redis the process stays the holder. After fencesPerGrant holders in a
// row the waiters of other processes are served.

// looksFree reports whether no caller in this process holds key or waits for it.
func (l *Locker) looksFree(key string) bool {
	l.mu.Lock()
	held := l.local[key] != nil
	l.mu.Unlock()
	return !held && l.waiters.count(key) == 0
}

// awaitHandoff waits until w is the first in its queue and the holder in this
// process hands over the lock. It returns the zero grant if there is no such
// holder, or if it releases the lock or loses it instead, or if ctx ends: from
// then on w waits in Redis.
func (l *Locker) awaitHandoff(ctx context.Context, key string, w *waiter) grant {
	if w.awaitFirst(ctx) != nil {
		return l.waiters.withdraw(w) // it may have been handed the lock at the last moment
	}
	l.mu.Lock()
	held := l.local[key] != nil && !l.closed
	l.mu.Unlock()
	if held { // if it is released by now, the zero grant was sent
		select {
		case g := <-w.handoff:
			w.handoff <- g // for withdraw
		case <-ctx.Done():
		}
	}
	return l.waiters.withdraw(w)
}

// handOff hands k to the next waiter of this process, if there is one and enough
// of the lease is left.
func (l *Locker) handOff(k *Lock) bool {
	k.mu.Lock()
	since, written, left := k.since, k.written, k.valid()
	k.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := grant{owner: k.grant.owner, fence: k.grant.fence + 1, since: since, written: written, handoffs: k.grant.handoffs + 1, twice: k.grant.twice}
	return !l.closed && l.local[k.key] == k && next.handoffs < fencesPerGrant && left >= l.ttl/2 && l.waiters.handOff(k.key, next)
}

// endHandoffs makes the next waiter of this process wait in Redis. l.mu is held.
func (l *Locker) endHandoffs(k *Lock) {
	if l.local[k.key] == k {
		delete(l.local, k.key)
		l.waiters.handOff(k.key, grant{})
	}
}
