package session

import (
	"hash/maphash"
	"sync"
	"time"
)

// fresh remembers, for a bounded number of sessions, until when they need no
// renewal, so that reading one is a single GET. A session that it does not know
// costs a PTTL in the same round trip.
type fresh struct {
	seed   maphash.Seed
	shards [32]freshShard
}

type freshShard struct {
	mu    sync.Mutex
	until map[string]time.Time
}

const freshPerShard = 2048

func newFresh() *fresh {
	f := &fresh{seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].until = map[string]time.Time{}
	}
	return f
}

func (f *fresh) shard(hash string) *freshShard { return &f.shards[maphash.String(f.seed, hash)%32] }

// is reports whether a session needs no renewal now.
func (f *fresh) is(hash string, now time.Time) bool {
	s := f.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.until[hash]
	if known && now.After(until) {
		delete(s.until, hash)
		return false
	}
	return known
}

// set keeps a session until a time. A full shard evicts any other one.
func (f *fresh) set(hash string, until time.Time) {
	s := f.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.until[hash]; !known && len(s.until) >= freshPerShard {
		for old := range s.until { // map order: any
			delete(s.until, old)
			break
		}
	}
	s.until[hash] = until
}
