package ratelimit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// hot lets requests for one key share calls to Redis once more than a few are
// under way: those that come meanwhile wait, and the next call asks how many of
// them fit. It is exact: the script admits that number and no more, and they are
// the first that came.
type hot struct {
	seed   maphash.Seed
	shards [32]hotShard
}

type hotShard struct {
	mu   sync.Mutex
	keys map[string]*flight
}

// alone is how many calls for one key go to Redis each on its own: a browser
// that loads a page must not wait for itself.
const (
	alone     = 8
	maxShared = 1000
)

// flight is what is under way for one key.
type flight struct {
	calls   int
	waiting []*waiter
}

// waiter is a request that waits. It gets an answer, or the lead: a batch to ask
// for, its own request first.
type waiter struct {
	came chan turn // buffered, for a waiter may have given up
}

type turn struct {
	lead     []*waiter
	decision Decision
	err      error
}

func newHot() *hot {
	h := &hot{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].keys = map[string]*flight{}
	}
	return h
}

func (h *hot) shard(key string) *hotShard { return &h.shards[maphash.String(h.seed, key)%32] }

// enter returns nil when the caller may ask on its own.
func (s *hotShard) enter(key string) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		f = &flight{}
		s.keys[key] = f
	}
	if f.calls < alone {
		f.calls++
		return nil
	}
	w := &waiter{came: make(chan turn, 1)}
	f.waiting = append(f.waiting, w)
	return w
}

// leave ends a call, and has those who wait go on with the next.
func (s *hotShard) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if len(f.waiting) > 0 {
		n := min(len(f.waiting), maxShared)
		batch := f.waiting[:n:n]
		f.waiting = f.waiting[n:]
		batch[0].came <- turn{lead: batch}
		return // the call is theirs now
	}
	if f.calls--; f.calls == 0 {
		delete(s.keys, key)
	}
}

// giveUp takes a waiter out of the queue. It fails when its turn has come.
func (s *hotShard) giveUp(key string, w *waiter) bool {
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

// together decides a request of cost 1 against one bucket, with others if many
// come at once.
func (l *Limiter) together(ctx context.Context, q question, denyKey string, asked int64) (Decision, error) {
	s := l.hot.shard(denyKey)
	w := s.enter(denyKey)
	if w == nil {
		defer s.leave(denyKey)
		return l.call(ctx, q, denyKey, asked)
	}
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	var t turn
	select {
	case t = <-w.came:
	case <-timer.C:
		if s.giveUp(denyKey, w) {
			return l.without(q), errUnavailable
		}
		t = <-w.came // on its way
	}
	if t.lead == nil {
		return t.decision, t.err
	}
	defer s.leave(denyKey)
	return l.lead(ctx, q, denyKey, t.lead)
}

// lead asks for a batch and hands out the answers. The first is the caller's.
func (l *Limiter) lead(ctx context.Context, q question, denyKey string, batch []*waiter) (Decision, error) {
	asked := l.nanos()
	if r := l.denied.holds(denyKey, q.cost, asked); r != nil { // known since
		d := r.at(q.cost, asked)
		for _, w := range batch[1:] {
			w.came <- turn{decision: d}
		}
		return d, nil
	}
	q.count = len(batch)
	d, err := l.call(ctx, q, denyKey, asked)
	turns := l.divide(q, d, err)
	for i, w := range batch[1:] {
		w.came <- turns[i+1]
	}
	return turns[0].decision, turns[0].err
}

// divide makes of the answer to a batch one for each of its requests, as if
// they had come one after the other.
func (l *Limiter) divide(q question, d Decision, err error) []turn {
	turns := make([]turn, q.count)
	p := &q.set.all[0]
	for i := range turns {
		switch {
		case err != nil && i == 0:
			turns[i] = turn{decision: d, err: err}
		case err != nil:
			turns[i] = turn{decision: l.without(q), err: err}
		case i < d.admitted:
			one := Decision{Allowed: true, Source: d.Source, set: d.set}
			one.State = bucketState(p, p.units, max(0, d.debt-int64(d.admitted-1-i)*p.units.token), 0)
			turns[i] = turn{decision: one}
		default:
			one := d
			one.Allowed, one.RetryAfter = false, d.wait
			turns[i] = turn{decision: one}
		}
	}
	return turns
}
