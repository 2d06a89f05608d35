package cache

import (
	"context"
	"net/http"
)

// served counts a request and calls the hook.
func (c *Cache) served(ctx context.Context, s Status) {
	c.stats.count(s)
	if c.hooks.Served != nil {
		c.hooks.Served(ctx, s)
	}
}

// failed counts a failure and calls the hook.
func (c *Cache) failed(ctx context.Context, err error) {
	c.stats.failures.Add(1)
	if c.hooks.Failed != nil {
		c.hooks.Failed(ctx, err)
	}
}

// write appends the member of this cache: the one nearest to the user is last
// (section 2).
func (c *Cache) write(h http.Header, s Status) {
	h["Cache-Status"] = append(h["Cache-Status"], c.member(s))
}

// member is that of this cache.
func (c *Cache) member(s Status) string {
	var space [128]byte
	return string(s.append(append(space[:0], c.identifier...)))
}

// Stats returns the counters, for metrics. It does not ask Redis.
func (c *Cache) Stats() Stats {
	n, stored := &c.stats, &c.store.Counts
	return Stats{
		Hits: n.hits.Load(), Stale: n.stale.Load(), Misses: n.misses.Load(), Collapsed: n.collapsed.Load(), Bypassed: n.bypassed.Load(),
		Fills: stored.Fills.Load(), Evicted: stored.Evicted.Load(), Refreshes: n.refreshes.Load(), Purges: stored.Purges.Load(), Failures: n.failures.Load(),
		Prefetched: c.usage.Used.Load(), PrefetchedUnused: c.usage.Unused.Load(),
	}
}
