package cache

import (
	"sync/atomic"
)

type counters struct {
	hits, stale, misses, collapsed, bypassed, refreshes, failures atomic.Int64
}

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

// Stats are counters since the start of this process.
type Stats struct {
	Hits      int64 // answered from the store, fresh or stale
	Stale     int64 // of these, stale
	Misses    int64 // the handler was asked, for want of something fresh
	Collapsed int64 // waited for another request and were answered from the store
	Bypassed  int64 // requests that are none of the cache's business
	Fills     int64 // responses stored
	Evicted   int64 // variants deleted because their URL had more than WithMaxVariants allows
	Refreshes int64 // handler calls in the background
	Purges    int64 // writes to purge logs
	Failures  int64 // calls of Redis that failed, and values that cannot be read
}
