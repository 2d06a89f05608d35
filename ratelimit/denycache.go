package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/boundedmap"
)

// denyCache remembers refusals of Redis that still hold. That is exact: until
// the named time others can only add to the debt, so Redis would refuse too.
// Only a reset, a refund or a raised limit on another instance can end a
// refusal early; recheck bounds how late that is seen. A clock that stepped back
// behind the moment of a refusal ends it: how long it holds is not known.
//
// It is bounded: full shards forget at random, which costs a call and nothing else.
// A nil denyCache remembers nothing.
type denyCache struct {
	seed    maphash.Seed
	shards  [denyShards]denyShard
	recheck int64 // nanoseconds
}

const denyShards = 32

type denyShard struct {
	mu      sync.Mutex
	entries *boundedmap.Map[string, *refusal]
}

// refusal is one remembered decision; instants are nanoseconds of the limiter's
// clock.
type refusal struct {
	cost      int64
	at        int64 // before Redis was called: never later than its own moment
	notBefore int64
	recheck   int64 // when Redis is called although it would refuse
	probing   bool  // a request has called Redis at notBefore
	step      int64 // what one cost takes to drain; 0 when that says nothing
	last      Decision
	response  rendered
}

func newDenyCache(size int, recheck time.Duration) *denyCache {
	if size <= 0 {
		return nil
	}
	c := &denyCache{seed: maphash.MakeSeed(), recheck: int64(recheck)}
	for i := range c.shards {
		c.shards[i].entries = boundedmap.New[string, *refusal]((size + denyShards - 1) / denyShards)
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
	r, ok := s.entries.Get(key)
	if !ok || !r.covers(cost) {
		return nil
	}
	if now < r.at {
		s.entries.Delete(key)
		return nil
	}
	if now < r.notBefore {
		if now < r.recheck {
			return r
		}
		r.recheck = now + c.recheck // this request calls Redis, the others do not
		return nil
	}
	// At notBefore exactly one such request fits, until the next step. The first
	// calls Redis; others that come before it has returned would be refused.
	if r.step > 0 && cost == r.cost && now < r.notBefore+r.step && now < r.recheck {
		if !r.probing {
			r.probing = true
			return nil
		}
		return r
	}
	s.entries.Delete(key)
	return nil
}

// holding is find for a request that has called it before: the refusal that
// holds for longer.
func (c *denyCache) holding(key string, cost, now int64) *refusal {
	if c == nil {
		return nil
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.entries.Get(key); ok && r.covers(cost) && now >= r.at && now < r.notBefore && now < r.recheck {
		return r
	}
	return nil
}

// covers reports whether the refusal tells what a request of this cost gets.
func (r *refusal) covers(cost int64) bool {
	return cost == r.cost || cost > r.cost && r.last.policy != nil && r.last.more == nil
}

// put remembers a refusal, for at most the recheck period.
func (c *denyCache) put(key string, r *refusal) {
	if c == nil {
		return
	}
	r.recheck = r.at + c.recheck
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.Set(key, r)
}

func (c *denyCache) forget(key string) {
	if c == nil {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.Delete(key)
}

// decision is the refusal at a later moment, for a cost at least as high.
func (r *refusal) decision(cost, now int64) Decision {
	d := r.last
	elapsed := time.Duration(now - r.at)
	d.Source = FromDenyCache
	if p := d.policy; p != nil && d.more == nil {
		u := p.units
		debt := u.drained(d.debt, elapsed.Microseconds())
		if now >= r.notBefore { // another request is about to take what is there
			debt = min(debt+r.cost*u.token, u.capacity())
		}
		d.State = u.state(p, debt, u.retryAfter(debt, cost))
		return d
	}
	d.State = d.later(elapsed)
	if d.more != nil {
		more := make([]State, len(d.more))
		for i, s := range d.more {
			more[i] = s.later(elapsed)
		}
		d.more = more
	}
	return d
}

// later is the state after a time in which nothing was charged.
func (s State) later(elapsed time.Duration) State {
	if s.RetryAfter > 0 {
		s.RetryAfter = max(s.RetryAfter-elapsed, time.Microsecond)
	}
	if p := s.policy; p != nil {
		return p.units.state(p, p.units.drained(s.debt, elapsed.Microseconds()), s.RetryAfter)
	}
	for _, t := range []*time.Duration{&s.ResetAfter, &s.NextAfter} {
		if *t > 0 {
			*t = max(*t-elapsed, time.Microsecond)
		}
	}
	return s
}
