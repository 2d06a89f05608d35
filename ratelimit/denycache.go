package ratelimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/boundedmap"
)

// denyCache remembers refusals by Redis that still hold. That is exact: until
// the named time other requests can only add to the debt, so Redis would refuse too.
// Only a reset, a refund or a raised limit on another instance can end a
// refusal early; recheck bounds how late this instance notices. A clock that stepped
// back behind the moment of a refusal ends it, because how long it holds is not known.
//
// It is bounded: full shards evict at random, which costs a call and nothing else.
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
	response  atomic.Pointer[response] // the latest, see responseTo
}

// response is the HTTP response to a remembered refusal.
type response struct {
	remaining int
	item      string // of the RateLimit field
	retry     string // Retry-After
	body      []byte
}

// newDenyCache returns a cache of about size refusals, nil if size is 0.
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

// shard returns the shard of a key. Each has its own lock and its part of the bound.
func (c *denyCache) shard(key string) *denyShard {
	return &c.shards[maphash.String(c.seed, key)%denyShards]
}

// find returns the refusal that holds for a request of this cost now, nil if Redis
// must be called. The caller must not write to it.
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
	// From notBefore to the next step exactly one such request fits. The first
	// calls Redis; others that arrive before it has returned would be refused.
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

// holding is find for a request that has called find before: it returns a refusal
// that holds, and changes nothing.
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

// covers reports whether the refusal also decides a request of this cost: the same
// cost, or a higher one of a single bucket.
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

// forget drops what is remembered of a key, after a refund, a block or a reset.
func (c *denyCache) forget(key string) {
	if c == nil {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.Delete(key)
}

// decision returns the refusal at a later moment, for a cost at least as high.
func (r *refusal) decision(cost, now int64) Decision {
	d := r.last
	elapsed := time.Duration(now - r.at)
	d.Source = fromDenyCache
	if p := d.policy; p != nil && d.more == nil {
		u := p.units
		debt := u.drained(d.debt, elapsed.Microseconds())
		if now >= r.notBefore { // another request is about to be charged what is left
			debt = min(debt+r.cost*u.token, u.capacity())
		}
		d.State = bucketState(p, u, debt, u.retryAfter(debt, cost))
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
