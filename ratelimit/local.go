package ratelimit

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// bucket is the state of one client: the debt, in units, at a moment.
type bucket struct {
	debt int64
	at   int64 // microseconds of this process
}

// table counts in this process while Redis is unavailable. It is bounded: what
// is full again is dropped, and when nothing is, new clients share a bucket.
type table struct {
	mu       sync.Mutex
	max      int
	buckets  map[string]bucket
	overflow map[string]bucket // by policy
	holds    map[string]int    // of concurrency policies, as many as requests run
	epoch    time.Time
}

func newTable(limit int) *table {
	return &table{max: limit, buckets: map[string]bucket{}, overflow: map[string]bucket{}, holds: map[string]int{}, epoch: time.Now()}
}

func localKey(p *policy, key string) string { return p.Name + "\x00" + key }

func (t *table) forget(set *policies, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range set.all {
		delete(t.buckets, localKey(&set.all[i], key))
	}
}

// without decides without Redis. It gives nothing back: what was charged in
// Redis was not charged here.
func (l *Limiter) without(q question) Decision {
	d := Decision{Allowed: true, Source: FromNowhere, set: q.set}
	d.State = State{Policy: q.set.all[0].Name, Limit: q.set.all[0].Limit.Limit}
	switch l.outage {
	case Closed:
		// One or two seconds, so that not all come back at once.
		d.Allowed, d.Unavailable, d.RetryAfter = false, true, time.Duration(1+rand.IntN(2))*time.Second
		return d
	case Open:
		d.Remaining = d.Limit.Burst
		return d
	}
	q.cost = max(q.cost, 0)
	return l.local.take(q, l.now())
}

// account is one policy's part in a local decision.
type account struct {
	name   string // in the table
	debt   int64
	need   int64
	shared bool
}

// take is the arithmetic of decide.lua, all policies or none. Windows count as
// buckets here. A negative cost gives back what was charged here.
func (t *table) take(q question, now time.Time) Decision {
	set, entering := q.set, q.hold != ""
	t.mu.Lock()
	defer t.mu.Unlock()
	us := now.Sub(t.epoch).Microseconds()
	d := Decision{Allowed: true, Source: FromLocal, set: set}
	states := make([]State, len(set.all))
	accounts := make([]account, len(set.all))
	for i := range set.all {
		p := &set.all[i]
		s, a := &states[i], &accounts[i]
		*s = State{Policy: p.Name, Limit: p.Limit.Limit}
		a.name = localKey(p, q.key)
		if p.kind == concurrency {
			if entering && t.holds[a.name] >= p.Rate {
				d.Allowed, s.RetryAfter = false, time.Second
			}
			continue
		}
		u := p.local
		b, known := t.buckets[a.name]
		if a.shared = !known && len(t.buckets) >= t.max && !t.evict(us, u); a.shared {
			b = t.overflow[p.Name]
		}
		a.debt = drained(b, us, u)
		c := min(max(q.cost, -u.burst), u.burst+1)
		a.need = c * u.token
		if q.mode == force {
			a.need = min(a.need, u.capacity()-a.debt) // at most an empty bucket
		}
		if c > 0 && a.debt+a.need > u.capacity() {
			d.Allowed, s.RetryAfter = false, Never
			if c <= u.burst {
				s.RetryAfter = micros(a.debt+a.need-u.capacity(), u.drain)
			}
		}
	}
	for i := range set.all {
		p, s, a := &set.all[i], &states[i], &accounts[i]
		if p.kind == concurrency {
			if d.Allowed && entering {
				t.holds[a.name]++
			}
			s.Remaining = max(0, p.Rate-t.holds[a.name])
			continue
		}
		u := p.local
		if d.Allowed {
			a.debt = max(a.debt+a.need, 0)
		}
		switch {
		case a.shared:
			t.overflow[p.Name] = bucket{a.debt, us}
		case a.debt == 0:
			delete(t.buckets, a.name)
		default:
			t.buckets[a.name] = bucket{a.debt, us}
		}
		*s = bucketState(p, u, a.debt, s.RetryAfter)
	}
	d.settle(states)
	return d
}

// leave gives a place of a concurrency policy back.
func (t *table) leave(p *policy, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := localKey(p, key)
	if t.holds[name]--; t.holds[name] <= 0 {
		delete(t.holds, name)
	}
}

// evict drops a few buckets that are full again; map order picks them at
// random, so each insert pays a bounded price.
func (t *table) evict(us int64, u units) bool {
	looked, dropped := 0, false
	for key, b := range t.buckets {
		if drained(b, us, u) == 0 {
			delete(t.buckets, key)
			dropped = true
		}
		if looked++; looked == 16 {
			break
		}
	}
	return dropped
}

func drained(b bucket, us int64, u units) int64 {
	elapsed := us - b.at
	if elapsed <= 0 {
		return b.debt
	}
	hi, lo := bits.Mul64(uint64(elapsed), uint64(u.drain))
	if hi != 0 || lo > math.MaxInt64 || int64(lo) >= b.debt {
		return 0
	}
	return b.debt - int64(lo)
}

func micros(debt, drain int64) time.Duration {
	us := debt / drain
	if debt%drain != 0 {
		us++
	}
	return time.Duration(us) * time.Microsecond
}
