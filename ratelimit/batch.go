package ratelimit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// batches lets requests for one key share calls to Redis once more than a few
// are under way: later ones wait, and the next call decides how many of them are
// admitted. It is exact: the script admits that number and no more, and they are
// the first that came.
type batches struct {
	seed   maphash.Seed
	shards [32]batchShard
}

type batchShard struct {
	mu   sync.Mutex
	keys map[string]*inFlight
}

const (
	// unshared is how many calls for one key go to Redis each on its own: a
	// browser that loads a page must not wait for itself.
	unshared = 8
	maxBatch = 1000
)

// inFlight is what is under way for one key.
type inFlight struct {
	calls   int
	waiting []*waiter
}

// waiter is a request that waits for its outcome, or for a batch to decide.
type waiter struct {
	done chan outcome // buffered, as a waiter may have given up
}

// outcome is the decision of one request of a batch, or the batch that this
// request is to decide, its own first.
type outcome struct {
	batch    []*waiter
	decision Decision
	err      error
}

func newBatches() *batches {
	b := &batches{seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].keys = map[string]*inFlight{}
	}
	return b
}

func (b *batches) shard(key string) *batchShard { return &b.shards[maphash.String(b.seed, key)%32] }

// enter returns nil when the caller may call Redis on its own.
func (s *batchShard) enter(key string) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		f = &inFlight{}
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

// leave ends a call, and hands the next batch to its first waiter.
func (s *batchShard) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if len(f.waiting) > 0 {
		n := min(len(f.waiting), maxBatch)
		batch := f.waiting[:n:n]
		f.waiting = f.waiting[n:]
		batch[0].done <- outcome{batch: batch}
		return // the call is theirs now
	}
	if f.calls--; f.calls == 0 {
		delete(s.keys, key)
	}
}

// giveUp takes a waiter out of the queue. It fails if its batch has begun.
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

// decideShared decides a request of cost 1 against one bucket, in a batch if
// many come at once.
func (l *Limiter) decideShared(ctx context.Context, q request) (Decision, error) {
	s := l.batches.shard(q.denyKey)
	w := s.enter(q.denyKey)
	if w == nil {
		defer s.leave(q.denyKey)
		return l.call(ctx, q)
	}
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	var out outcome
	select {
	case out = <-w.done:
	case <-timer.C:
		if s.giveUp(q.denyKey, w) {
			return l.fallbackDecision(q), errNotAsked
		}
		out = <-w.done // under way
	}
	if out.batch == nil {
		return out.decision, out.err
	}
	defer s.leave(q.denyKey)
	return l.decideBatch(ctx, q, out.batch)
}

// decideBatch decides for a batch and hands out the outcomes. The first is the
// caller's.
func (l *Limiter) decideBatch(ctx context.Context, q request, batch []*waiter) (Decision, error) {
	q.at = l.nanos()
	if r := l.denied.holding(q.denyKey, q.cost, q.at); r != nil { // refused since
		d := r.decision(q.cost, q.at)
		for _, w := range batch[1:] {
			w.done <- outcome{decision: d}
		}
		return d, nil
	}
	q.count = len(batch)
	d, err := l.call(ctx, q)
	outcomes := l.split(q, d, err)
	for i, w := range batch[1:] {
		w.done <- outcomes[i+1]
	}
	return outcomes[0].decision, outcomes[0].err
}

// split makes of the decision about a batch one for each of its requests, as if
// they had come one after the other.
func (l *Limiter) split(q request, d Decision, err error) []outcome {
	outcomes := make([]outcome, q.count)
	p := &q.set.all[0]
	for i := range outcomes {
		switch {
		case err != nil && i == 0:
			outcomes[i] = outcome{decision: d, err: err}
		case err != nil:
			outcomes[i] = outcome{decision: l.fallbackDecision(q), err: err}
		case i < d.admitted:
			one := Decision{Allowed: true, Source: d.Source, set: d.set}
			one.State = p.units.state(p, max(0, d.debt-int64(d.admitted-1-i)*p.units.token), 0)
			outcomes[i] = outcome{decision: one}
		default:
			one := d
			one.Allowed, one.RetryAfter = false, d.wait
			outcomes[i] = outcome{decision: one}
		}
	}
	return outcomes
}
