package store

import (
	"sync"
	"time"
)

// leases are those that this process holds and no request uses yet: the one
// that makes the response need not be the one whose look-up took the lease.
type leases struct {
	mu   sync.Mutex
	free map[string]freeLease // by key
}

type freeLease struct {
	token string
	until time.Time
}

const maxFree = 10_000

// offer keeps a lease for the request that will use it, and returns another if
// there are too many.
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

// claim takes a lease for the caller: this token, or any if it is "". It
// returns "" if there is none, or too little is left of it.
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

// all takes every lease.
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
