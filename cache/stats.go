package cache

import (
	"sync/atomic"
)

// counters are those of [Stats] that the handler counts; the store counts the
// others.
type counters struct {
	hits, stale, misses, collapsed, bypassed, refreshes, failures atomic.Int64
}

// count counts a request once, by what was done with it.
func (n *counters) count(s Status) {
	switch {
	case s.Hit:
		n.hits.Add(1)
		if s.TTL < 0 {
			n.stale.Add(1)
		}
	case s.Collapsed && s.ForwardStatus == 0:
		n.collapsed.Add(1)
	case s.Forward == "bypass" || s.Forward == "method":
		n.bypassed.Add(1)
	default:
		n.misses.Add(1)
	}
}

// Stats are counters of this Cache since [New], see [Cache.Stats]. Each request
// is one of Hits, Misses, Collapsed and Bypassed.
type Stats struct {
	// Hits were served from the store, fresh or stale; Stale of them were stale.
	Hits  int64
	Stale int64
	// Misses called the handler, because nothing was stored that may be served.
	Misses int64
	// Collapsed waited for another request and were served from the store.
	Collapsed int64
	// Bypassed are requests that are not cached: other methods, [WithSkip], and all
	// requests while Redis is unavailable.
	Bypassed int64
	// Fills are responses that were stored.
	Fills int64
	// Evicted are variants that were deleted because their URL had more than
	// [WithMaxVariants].
	Evicted int64
	// Refreshes are calls of handlers in the background.
	Refreshes int64
	// Purges are writes to purge logs.
	Purges int64
	// Prefetched are look-ups that were made in the round trip of an outer
	// middleware and used; PrefetchedUnused were not used, see [WithPrefetch].
	Prefetched       int64
	PrefetchedUnused int64
	// Failures are calls to Redis that failed, and values that cannot be decoded.
	Failures int64
}
