package ratelimit

import (
	"hash/maphash"
	"sync"
)

// batches lets requests for one key share calls to Redis once more than a few
// are in flight: later ones wait, and the next call decides how many of them are
// admitted. It is exact: the script admits that number and no more, and those are
// the requests that arrived first.
type batches struct {
	seed   maphash.Seed
	shards [32]batchShard
}

// batchShard has the keys of one shard, so that unrelated keys do not wait for one
// lock.
type batchShard struct {
	mu    sync.Mutex
	keys  map[string]*inFlight
	spare *inFlight // to be used for the next key
}

const (
	// unshared is how many calls for one key are in flight before requests share
	// one: the requests of a browser that loads a page must not wait for each other.
	unshared = 8
	// maxBatch bounds the requests that one call decides.
	maxBatch = 1000
)

// inFlight are the calls for one key, and the requests that wait for the next.
type inFlight struct {
	calls   int
	waiting []*waiter
}

// waiter is a request that waits for its outcome, or for a batch to decide.
type waiter struct {
	done chan outcome // buffered, because a waiter may have given up
}

// outcome is the decision of one request of a batch, or the batch that this
// request is to decide, its own first.
type outcome struct {
	batch    []*waiter
	decision Decision
	err      error
}

// newBatches returns batches without any call in flight.
func newBatches() *batches {
	b := &batches{seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].keys = map[string]*inFlight{}
	}
	return b
}

// shard returns the shard of a key.
func (b *batches) shard(key string) *batchShard { return &b.shards[maphash.String(b.seed, key)%32] }

// enter returns nil if the caller may call Redis on its own, else its place in the
// queue. After a nil the caller must call leave.
func (s *batchShard) enter(key string) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		if f, s.spare = s.spare, nil; f == nil {
			f = &inFlight{}
		}
		s.keys[key] = f
	}
	if f.calls < unshared {
		f.calls++
		return nil
	}
	w := &waiter{done: make(chan outcome, 1)}
	f.waiting = append(f.waiting, w)
	return w
}

// leave ends a call and hands the next batch to its first waiter.
func (s *batchShard) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if len(f.waiting) > 0 {
		n := min(len(f.waiting), maxBatch)
		batch := f.waiting[:n:n]
		f.waiting = f.waiting[n:]
		batch[0].done <- outcome{batch: batch}
		return // the batch has the call now
	}
	if f.calls--; f.calls == 0 {
		delete(s.keys, key)
		f.waiting, s.spare = nil, f
	}
}

// giveUp removes a waiter from the queue. It reports false if its batch has begun.
func (s *batchShard) giveUp(key string, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		return false
	}
	for i, other := range f.waiting {
		if other == w {
			f.waiting = append(f.waiting[:i:i], f.waiting[i+1:]...)
			return true
		}
	}
	return false
}
