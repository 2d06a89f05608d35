package store

import (
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/boundedmap"
)

// memo remembers the selecting fields and tags of targets, so that a look-up can read the
// right variant and the right fields of the purge log in one round trip. A wrong or
// forgotten memo costs a round trip, never correctness, so the memo is bounded.
type memo struct {
	mu    sync.Mutex
	known *boundedmap.Map[string, known] // by hash of the target
}

func newMemo() memo { return memo{known: boundedmap.New[string, known](maxMemo)} }

type known struct {
	names []string  // selecting fields, and languages
	tags  []string  // of the last entry
	asks  *asks     // of the last look-up, nil if they are not for these tags
	size  int       // of that entry's body, as it is in Redis
	until time.Time // until then that entry is served without the handler, so no lease is needed
	// Hit-for-miss while Redis is away: until when nothing is stored for requests
	// of this class, and how often that was seen running.
	unstoredUntil time.Time
	unstoredOf    Class
	unstored      int
}

// asksFor returns what a look-up asks that guesses f.
func (k *known) asksFor(f *Found) *asks {
	if k.asks != nil && k.asks.variant == f.Variant {
		return k.asks
	}
	return asksOf(f, k.tags)
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
	k, _ := m.known.Get(hash)
	return k
}

func (m *memo) change(hash string, fn func(known) known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, _ := m.known.Get(hash)
	m.known.Set(hash, fn(k))
}
