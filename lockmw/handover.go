package lockmw

import (
	"context"
	"time"
)

// maxStreak is how many holders in a row a process serves from one lock in
// Redis, before the waiters of other processes get their turn. So many fences
// are reserved with each grant, see acquire.lua and vote.lua.
const maxStreak = 16

// handed is a lock of this process that goes to its next waiter, without a
// round trip: in Redis the holder is the process. The zero value says that it
// was let go, or lost, and that the waiter has to ask Redis.
type handed struct {
	owner  string
	fence  uint64
	since  time.Time // when the lease was last set
	streak int
	again  bool
}

// alone reports whether nobody in this process holds key or waits for it.
func (l *Locker) alone(key string) bool {
	l.mu.Lock()
	held := l.local[key] != nil
	l.mu.Unlock()
	return !held && l.Waiting(key) == 0
}

// inherit waits for a lock that this process holds, and returns nothing if it
// does not. Only the first in line calls it, once: after that it waits in Redis.
func (l *Locker) inherit(timed context.Context, key string, p *place) handed {
	l.mu.Lock()
	held := l.local[key] != nil && !l.closed
	l.mu.Unlock()
	if held { // if it is let go by now, a gift says so
		select {
		case h := <-p.gift:
			p.gift <- h // withdraw takes it
		case <-timed.Done():
		}
	}
	return l.lines.withdraw(p)
}

// passOn gives the lock to the next waiter of this process, if there is one and
// enough of the lease is left.
func (l *Locker) passOn(k *Lock) bool {
	k.mu.Lock()
	since, left := k.since, k.valid()
	k.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.local[k.key] == k && k.streak+1 < maxStreak && left >= l.ttl/2 &&
		l.lines.give(k.key, handed{k.owner, k.fence + 1, since, k.streak + 1, k.again})
}

// disinherit tells the next waiter of this process that it has to ask Redis.
// l.mu is held.
func (l *Locker) disinherit(k *Lock) {
	if l.local[k.key] == k {
		delete(l.local, k.key)
		l.lines.give(k.key, handed{})
	}
}
