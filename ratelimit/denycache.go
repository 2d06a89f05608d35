package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// denyCache remembers refusals of Redis that still hold. That is exact: until
// the named time others can only add to the debt, so Redis would refuse too.
// Only a reset, a refund or a raised limit on another instance can end a
// refusal early; recheck bounds how late that is seen. A clock that stepped back
// behind the moment of a refusal ends it: how long it holds is not known.
//
// It is bounded: full shards forget at random, which costs a call and nothing else.
type denyCache struct {
	seed   maphash.Seed
	shards [denyShards]denyShard
	limit  int // entries of a shard
	stale  int64
}

const denyShards = 32

type denyShard struct {
	mu      sync.Mutex
	entries map[string]*refusal
}

// refusal is one remembered answer; instants are nanoseconds of the limiter's
// clock.
type refusal struct {
	cost      int64
	asked     int64 // before Redis was: never later than its own moment
	notBefore int64
	recheck   int64 // when Redis is asked again although it would refuse
	probing   bool  // a request has gone to ask at notBefore
	step      int64 // what one cost takes to drain; 0 when that says nothing
	decision  Decision
	text      render
}

func newDenyCache(size int, stale time.Duration) *denyCache {
	if size <= 0 {
		return nil
	}
	c := &denyCache{seed: maphash.MakeSeed(), limit: max(1, (size+denyShards-1)/denyShards), stale: int64(stale)}
	for i := range c.shards {
		c.shards[i].entries = map[string]*refusal{}
	}
	return c
}

func (c *denyCache) shard(key string) *denyShard {
	return &c.shards[maphash.String(c.seed, key)%denyShards]
}

// find returns the refusal that answers a request of this cost now, nil when
// Redis must be asked. The refusal must not be written to.
func (c *denyCache) find(key string, cost, now int64) *refusal {
	if c == nil {
		return nil
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.entries[key]
	if r == nil || !r.answers(cost) {
		return nil
	}
	if now < r.asked {
		delete(s.entries, key)
		return nil
	}
	if now < r.notBefore {
		if now < r.recheck {
			return r
		}
		r.recheck = now + c.stale // this request asks, the others do not
		return nil
	}
	// At notBefore exactly one such request fits, until the next step. The
	// first asks Redis; others that come while it does would be refused.
	if r.step > 0 && cost == r.cost && now < r.notBefore+r.step && now < r.recheck {
		if !r.probing {
			r.probing = true
			return nil
		}
		return r
	}
	delete(s.entries, key)
	return nil
}

// holds is find without going to ask: the refusal whose time has plainly not
// come. It is for a request that has looked before.
func (c *denyCache) holds(key string, cost, now int64) *refusal {
	if c == nil {
		return nil
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.entries[key]; r != nil && r.answers(cost) && now >= r.asked && now < r.notBefore && now < r.recheck {
		return r
	}
	return nil
}

// answers reports whether what is known tells what a request of this cost gets.
func (r *refusal) answers(cost int64) bool {
	return cost == r.cost || cost > r.cost && r.decision.policy != nil && r.decision.more == nil
}

// put remembers what a refused request, or one that took the last, was told.
func (c *denyCache) put(key string, r *refusal) {
	if c == nil {
		return
	}
	r.recheck = r.asked + c.stale
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.entries[key]; !known && len(s.entries) >= c.limit {
		for old := range s.entries { // map order: any
			delete(s.entries, old)
			break
		}
	}
	s.entries[key] = r
}

func (c *denyCache) forget(key string) {
	if c == nil {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// at is the remembered decision at a later moment, for a cost at least as high.
func (r *refusal) at(cost, now int64) Decision {
	d := r.decision
	gone := time.Duration(now - r.asked)
	d.Source = FromDenyCache
	if p := d.policy; p != nil && d.more == nil {
		u := p.units
		debt := drained(bucket{debt: d.debt}, gone.Microseconds(), u)
		if now >= r.notBefore { // another request is just taking what is there
			debt = min(debt+r.cost*u.token, u.capacity())
		}
		retry := Never
		if cost <= u.burst {
			retry = micros(debt+cost*u.token-u.capacity(), u.drain)
		}
		d.State = bucketState(p, u, debt, retry)
		return d
	}
	d.State = later(d.State, gone)
	if d.more != nil {
		more := make([]State, len(d.more))
		for i, s := range d.more {
			more[i] = later(s, gone)
		}
		d.more = more
	}
	return d
}

func later(s State, gone time.Duration) State {
	if s.RetryAfter > 0 {
		s.RetryAfter = max(s.RetryAfter-gone, time.Microsecond)
	}
	if s.policy != nil {
		return bucketState(s.policy, s.policy.units, drained(bucket{s.debt, 0}, gone.Microseconds(), s.policy.units), s.RetryAfter)
	}
	for _, t := range []*time.Duration{&s.ResetAfter, &s.NextAfter} {
		if *t > 0 {
			*t = max(*t-gone, time.Microsecond)
		}
	}
	return s
}
