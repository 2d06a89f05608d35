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
	until time.Time // when that can no longer be served without the handler
	// Until when nothing is stored for requests of this class, as seen while Redis was away.
	open   time.Time
	openOf class
	opened int // how often running
}

const maxMemo = 10_000

// maxTagBytes bounds the tags that are remembered of one target: 10,000 of them
// with 128 tags of 1 KiB would take 1.3 GB.
const maxTagBytes = 2 << 10

// memorable are the tags if they are short enough to be remembered.
func memorable(tags []string) []string {
	size := 0
	for _, tag := range tags {
		size += len(tag)
	}
	if size > maxTagBytes {
		return nil
	}
	return tags
}

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
