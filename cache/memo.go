package cache

import "sync"

// memo remembers the selecting headers of URLs, so that the first round trip
// asks for the right variant. Being wrong costs a second one, so it is bounded
// and may forget.
type memo struct {
	mu    sync.Mutex
	names map[string][]string
}

const maxMemo = 10_000

func (m *memo) get(hash string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names[hash]
}

func (m *memo) put(hash string, names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(names) == 0 {
		delete(m.names, hash)
		return
	}
	if len(m.names) >= maxMemo {
		for other := range m.names { // any one: map order is random
			delete(m.names, other)
			break
		}
	}
	m.names[hash] = names
}
