package ratelimit

import (
	"sync"
	"time"
)

// table counts in this process while Redis is unavailable. It is bounded: buckets
// that are full again are evicted, and if none is, new clients share a bucket.
type table struct {
	mu      sync.Mutex
	limit   int             // of buckets
	buckets map[string]debt // by localKey; a full one has no entry
	shared  map[string]debt // by policy, of the clients beyond the limit
	places  map[string]int  // of concurrency policies, as many as requests run
	start   time.Time
}

// debt is one client's bucket: what it owes, in units, at a moment.
type debt struct {
	units int64
	at    int64 // microseconds since the table's start
}

func newTable(limit int) *table {
	return &table{limit: limit, buckets: map[string]debt{}, shared: map[string]debt{}, places: map[string]int{}, start: time.Now()}
}

// localKey returns the key of a policy's bucket or places in the table. A name
// cannot contain the separator.
func localKey(p *policy, key string) string { return p.Name + "\x00" + key }

// forget fills the buckets of a key, for [Limiter.Reset]. Places stay, as each
// request that runs releases its own.
func (t *table) forget(set *policies, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range set.all {
		delete(t.buckets, localKey(&set.all[i], key))
	}
}

// account is one policy's part in a decision.
type account struct {
	p      *policy
	key    string // in the table
	debt   int64  // before the request, in units
	need   int64  // what the request adds to it
	shared bool   // the bucket of clients beyond the limit
	state  State
}

// decide decides as decide.lua does: all policies are charged or none. Windows
// count as buckets here. A negative cost gives back what was charged here.
func (t *table) decide(q request, now time.Time) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := now.Sub(t.start).Microseconds()
	d := Decision{Allowed: true, Source: fromLocal, set: q.set}
	accounts := make([]account, len(q.set.all))
	for i := range q.set.all {
		a := &accounts[i]
		a.p, a.key = &q.set.all[i], localKey(&q.set.all[i], q.key)
		if a.p.kind == concurrency {
			t.openPlace(a, q)
		} else {
			t.openBucket(a, q, at)
		}
		d.Allowed = d.Allowed && a.state.RetryAfter == 0
	}
	states := make([]State, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		if a.p.kind == concurrency {
			t.closePlace(a, d.Allowed && q.place != "")
		} else {
			t.closeBucket(a, d.Allowed, at)
		}
		states[i] = a.state
	}
	return d.withStates(states)
}

// openPlace checks whether a place of a concurrency policy is free.
func (t *table) openPlace(a *account, q request) {
	if q.place != "" && t.places[a.key] >= a.p.Rate {
		a.state.RetryAfter = time.Second
	}
}

// closePlace enters a place if all policies admit the request.
func (t *table) closePlace(a *account, enter bool) {
	if enter {
		t.places[a.key]++
	}
	a.state.Policy, a.state.Limit = a.p.Name, a.p.Limit.Limit
	a.state.Remaining = max(0, a.p.Rate-t.places[a.key])
}

// openBucket computes a bucket's debt now and whether the cost fits.
func (t *table) openBucket(a *account, q request, at int64) {
	u := a.p.local
	owed, known := t.buckets[a.key]
	if a.shared = !known && len(t.buckets) >= t.limit && !t.evict(at, u); a.shared {
		owed = t.shared[a.p.Name]
	}
	a.debt = u.drained(owed.units, at-owed.at)
	cost := min(max(q.cost, -u.burst), u.burst+1)
	a.need = cost * u.token
	if q.mode == force {
		a.need = min(a.need, u.capacity()-a.debt) // at most an empty bucket
		cost = a.need / u.token
	}
	a.state.RetryAfter = u.retryAfter(a.debt, cost)
}

// closeBucket charges the cost if all policies admit the request, and stores the
// debt.
func (t *table) closeBucket(a *account, charge bool, at int64) {
	if charge {
		a.debt = max(a.debt+a.need, 0)
	}
	switch {
	case a.shared:
		t.shared[a.p.Name] = debt{a.debt, at}
	case a.debt == 0:
		delete(t.buckets, a.key)
	default:
		t.buckets[a.key] = debt{a.debt, at}
	}
	a.state = bucketState(a.p, a.p.local, a.debt, a.state.RetryAfter)
}

// leave releases a place of a concurrency policy.
func (t *table) leave(p *policy, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := localKey(p, key)
	if t.places[name]--; t.places[name] <= 0 {
		delete(t.places, name)
	}
}

// evict deletes up to 16 buckets that are full again, and reports whether it found
// one. Map order picks the candidates at random, so each insert costs about the same.
func (t *table) evict(at int64, u units) bool {
	tried, dropped := 0, false
	for key, owed := range t.buckets {
		if u.drained(owed.units, at-owed.at) == 0 {
			delete(t.buckets, key)
			dropped = true
		}
		if tried++; tried == 16 {
			break
		}
	}
	return dropped
}
