package store

import (
	"sync"
	"time"
)

// leases are those that this process has acquired and no request uses yet. A shared
// look-up acquires one lease for several requests: the first of them to claim it calls
// the handler.
type leases struct {
	mu   sync.Mutex
	free map[string]freeLease // by key
}

type freeLease struct {
	token string
	until time.Time
}

const maxFree = 10_000

// offer keeps a lease until a request claims it, for half its TTL d. It returns a lease
// to release if there are too many.
func (l *leases) offer(key, token string, d time.Duration) (drop Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free = map[string]freeLease{}
	}
	for other, free := range l.free {
		if len(l.free) < maxFree {
			break
		}
		delete(l.free, other)
		drop = Lease{Key: other, Token: free.token}
	}
	l.free[key] = freeLease{token, time.Now().Add(d / 2)}
	return drop
}

// claim gives a lease to the caller: the one with this token, or any if it is "". It
// returns "" if there is none, or if more than half of its TTL has passed: it could
// expire before the response is complete.
func (l *leases) claim(key, token string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	free, ok := l.free[key]
	if !ok || token != "" && free.token != token {
		return ""
	}
	delete(l.free, key)
	if time.Now().After(free.until) {
		return ""
	}
	return free.token
}

// all removes and returns all leases.
func (l *leases) all() []Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Lease, 0, len(l.free))
	for key, free := range l.free {
		out = append(out, Lease{Key: key, Token: free.token})
	}
	clear(l.free)
	return out
}
