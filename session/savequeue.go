package session

import (
	"context"
	"sync"
)

// saveQueue has requests of this process save one session one after the other:
// many of them at once would mostly collide in Redis. It only saves retries; what
// keeps saves apart is the guard. A request that waits too long saves all the same.
type saveQueue struct {
	mu  sync.Mutex
	all map[string]*saveSlot
}

type saveSlot struct {
	held  chan struct{} // of capacity 1
	users int
	last  *value // what the last of them wrote
}

// acquire waits for the slot of a session. done releases it, with what was written,
// nil for nothing.
func (t *saveQueue) acquire(ctx context.Context, hash string) (last *value, done func(written *value)) {
	t.mu.Lock()
	if t.all == nil {
		t.all = map[string]*saveSlot{}
	}
	u := t.all[hash]
	if u == nil {
		u = &saveSlot{held: make(chan struct{}, 1)}
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
