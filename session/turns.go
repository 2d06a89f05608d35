package session

import (
	"context"
	"sync"
)

// turns has requests of this process save one session one after the other: a
// crowd on one session would otherwise mostly collide. It is a courtesy, not
// the guard: a request that waits too long saves all the same.
type turns struct {
	mu  sync.Mutex
	all map[string]*turn
}

type turn struct {
	held  chan struct{} // of capacity 1
	users int
	last  *value // what the last of them wrote
}

// take waits for its turn. done gives it back, with what was written, nil for
// nothing.
func (t *turns) take(ctx context.Context, hash string) (last *value, done func(written *value)) {
	t.mu.Lock()
	if t.all == nil {
		t.all = map[string]*turn{}
	}
	u := t.all[hash]
	if u == nil {
		u = &turn{held: make(chan struct{}, 1)}
		t.all[hash] = u
	}
	u.users++
	t.mu.Unlock()
	held := true
	select {
	case u.held <- struct{}{}:
	case <-ctx.Done():
		held = false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if held {
		last = u.last
	}
	return last, func(written *value) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if held {
			u.last = written
			<-u.held
		}
		if u.users--; u.users == 0 {
			delete(t.all, hash)
		}
	}
}
