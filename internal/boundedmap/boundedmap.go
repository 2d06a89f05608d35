// Package boundedmap is a map that never holds more than a number of entries:
// when it is full, a random one makes room. It is for what may be forgotten at
// the cost of asking again.
package boundedmap

// Map holds at most a number of entries. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	limit   int
	entries map[K]V
}

// New returns an empty Map for at most limit entries, at least 1.
func New[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{limit: max(limit, 1), entries: map[K]V{}}
}

// Get returns the value of a key.
func (m *Map[K, V]) Get(key K) (V, bool) {
	v, ok := m.entries[key]
	return v, ok
}

// Set sets the value of a key. If the map is full of others, a random one of
// them is evicted.
func (m *Map[K, V]) Set(key K, value V) {
	if _, ok := m.entries[key]; !ok && len(m.entries) >= m.limit {
		for other := range m.entries { // map order is random
			delete(m.entries, other)
			break
		}
	}
	m.entries[key] = value
}

// Delete removes a key.
func (m *Map[K, V]) Delete(key K) { delete(m.entries, key) }

// DeleteFunc removes the entries for which del is true.
func (m *Map[K, V]) DeleteFunc(del func(key K, value V) bool) {
	for key, value := range m.entries {
		if del(key, value) {
			delete(m.entries, key)
		}
	}
}

// Clear removes all entries.
func (m *Map[K, V]) Clear() { clear(m.entries) }

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return len(m.entries) }
