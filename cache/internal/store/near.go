package store

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// near keeps small entries in the process for up to ttl, so that a hit costs no round trip.
// A purge by another instance takes effect after ttl at the latest, one by this instance at
// once. A nil near keeps nothing.
type near struct {
	rules *rules.Rules
	ttl   time.Duration
	max   int64 // bytes
	urls  *otter.Cache[string, nearURL]
}

// nearURL is what is near of one URL, so that a purge of it drops one value. It is
// not changed once it is in the cache.
type nearURL struct {
	targets map[string]nearTarget // by the hash of the target
	size    int64
}

// nearTarget is the variants of a target.
type nearTarget struct {
	names    []string // selecting headers
	variants map[string]nearEntry
}

type nearEntry struct {
	f    Found
	at   time.Time // before Redis was asked
	size int64
}

func newNear(budget int64, ttl time.Duration, rs *rules.Rules) *near {
	if budget == 0 {
		return nil
	}
	return &near{rules: rs, ttl: ttl, max: budget, urls: otter.Must(&otter.Options[string, nearURL]{
		MaximumWeight: uint64(budget),
		Weigher:       func(_ string, u nearURL) uint32 { return uint32(min(u.size, math.MaxUint32)) },
		Executor:      func(fn func()) { fn() }, // no goroutine of its own
	})}
}

func (n *near) get(p Place, h http.Header) (Found, bool) {
	if n == nil {
		return Found{}, false
	}
	u, _ := n.urls.GetIfPresent(p.url)
	t := u.targets[p.Hash]
	if t.variants == nil {
		return Found{}, false
	}
	e, ok := t.variants[n.rules.Variant(t.names, h)]
	if !ok {
		return Found{}, false
	}
	gone := time.Since(e.at)
	if e.f.Target != p.Target || gone >= n.ttl || gone >= e.f.Left() {
		return Found{}, false
	}
	f := e.f
	f.Elapsed += gone
	return f, true
}

// put keeps what was found, if it is small beside the budget and current still says
// that nothing was purged since. Of a URL it keeps at most an eighth of the budget.
func (n *near) put(f Found, at time.Time, current func() bool) {
	if n == nil || f.Entry.ID != "" {
		return
	}
	f.Lease = ""
	e := nearEntry{f, at, sizeOf(f.Entry)}
	if e.size > n.max/8 {
		return
	}
	n.urls.Compute(f.url, func(u nearURL, _ bool) (nearURL, otter.ComputeOp) {
		if !current() { // here, where forget comes either before or after
			return u, otter.CancelOp
		}
		if u = u.with(e, n.ttl); u.size > n.max/8 {
			u = nearURL{}.with(e, n.ttl)
		}
		return u, otter.WriteOp
	})
}

// with is u with an entry, and without what is too old to be served.
func (u nearURL) with(e nearEntry, ttl time.Duration) nearURL {
	out := nearURL{targets: make(map[string]nearTarget, len(u.targets)+1), size: e.size}
	for hash, t := range u.targets {
		if hash == e.f.Hash && !slices.Equal(t.names, e.f.Names) {
			continue // they select otherwise now
		}
		t.variants = maps.Clone(t.variants)
		maps.DeleteFunc(t.variants, func(variant string, old nearEntry) bool {
			return time.Since(old.at) >= ttl || hash == e.f.Hash && variant == e.f.Variant
		})
		for _, old := range t.variants {
			out.size += old.size
		}
		out.targets[hash] = t
	}
	t := out.targets[e.f.Hash]
	if t.variants == nil {
		t = nearTarget{names: e.f.Names, variants: map[string]nearEntry{}}
	}
	t.variants[e.f.Variant] = e
	out.targets[e.f.Hash] = t
	return out
}

// sizeOf is about what an entry takes in memory, in bytes.
func sizeOf(e *Entry) int64 {
	size := int64(512 + len(e.Target) + len(e.Body))
	for name, values := range e.Header {
		for _, v := range values {
			size += int64(len(name) + len(v) + 48)
		}
	}
	return size
}

// forget drops a URL, "" for all.
func (n *near) forget(url string) {
	switch {
	case n == nil:
	case url == "":
		n.urls.InvalidateAll()
	default:
		n.urls.Invalidate(url)
	}
}
