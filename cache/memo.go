package cache

import (
	"sync"
	"time"
)

// memo remembers of URLs what helps to ask Redis the right question at once.
// Being wrong costs a round trip, so it is bounded and may forget.
type memo struct {
	mu    sync.Mutex
	known map[string]known // by hash of the target
}

type known struct {
	names []string  // selecting headers
	tags  []string  // of the entry seen last
	until time.Time // when that is stale
	open  time.Time // until when requests are not collapsed, for nothing is stored
}

const maxMemo = 10_000

func (m *memo) get(hash string) known {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[hash]
}

func (m *memo) change(hash string, fn func(*known)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, there := m.known[hash]
	fn(&k)
	if !there && len(m.known) >= maxMemo {
		for other := range m.known { // any one: map order is random
			delete(m.known, other)
			break
		}
	}
	m.known[hash] = k
}
