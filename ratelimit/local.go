package ratelimit

import (
	"math"
	"math/bits"
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
	overflow bucket
	epoch    time.Time
}

func newTable(limit int) *table {
	return &table{max: limit, buckets: map[string]bucket{}, epoch: time.Now()}
}

func (t *table) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.buckets, key)
}

// without decides without Redis.
func (l *Limiter) without(key string, n int) Decision {
	d := Decision{Allowed: true, Policy: l.name, Limit: l.limit, Source: FromNowhere}
	switch l.outage {
	case Closed:
		d.Allowed, d.Unavailable, d.RetryAfter = false, true, time.Second
		return d
	case Open:
		d.Remaining = l.limit.Burst
		return d
	}
	now := time.Now()
	if l.clock != nil {
		now = l.clock()
	}
	return l.local.take(l, key, int64(n), now)
}

// take is the arithmetic of gcra.lua.
func (t *table) take(l *Limiter, key string, cost int64, now time.Time) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	us, u := now.Sub(t.epoch).Microseconds(), l.units
	b, known := t.buckets[key]
	shared := !known && len(t.buckets) >= t.max && !t.evict(us, u)
	if shared {
		b = t.overflow
	}
	debt := drained(b, us, u)
	cost = min(max(cost, -u.burst), u.burst+1)
	need := cost * u.token
	d := Decision{Allowed: true, Policy: l.name, Limit: l.limit, Source: FromLocal}
	switch {
	case cost > 0 && debt+need > u.capacity():
		d.Allowed, d.RetryAfter = false, Never
		if cost <= u.burst {
			d.RetryAfter = micros(debt+need-u.capacity(), u.drain)
		}
	default:
		debt = max(debt+need, 0)
	}
	switch {
	case shared:
		t.overflow = bucket{debt, us}
	case debt == 0:
		delete(t.buckets, key)
	default:
		t.buckets[key] = bucket{debt, us}
	}
	remaining := (u.capacity() - debt) / u.token
	d.Remaining, d.ResetAfter = int(remaining), micros(debt, u.drain)
	if debt > 0 {
		d.NextAfter = micros(debt-(u.capacity()-(remaining+1)*u.token), u.drain)
	}
	return d
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
