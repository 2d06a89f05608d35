package connect

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// scoutPause is the least time between two searches for a new master.
const scoutPause = 100 * time.Millisecond

// scout looks for a new master while a breaker is open, so that the outage ends
// with the failover and not only when the breaker's time is up. It reloads a
// cluster's topology, or asks the sentinels for the master. Rejected calls start
// it, at most every 100 ms, so it never runs without traffic.
type scout struct {
	last atomic.Int64 // when it ran last, on the monotonic clock
	busy atomic.Bool
}

// refused is called for each call that an open breaker rejects.
func (c *Conn) refused(b *circuit) {
	now := int64(time.Since(started))
	last := c.scout.last.Load()
	if now-last < int64(scoutPause) && last != 0 || !c.scout.last.CompareAndSwap(last, now) {
		return
	}
	switch rdb := c.client.(type) {
	case *redis.ClusterClient:
		rdb.ReloadState(c.life) // go-redis does one at a time, in its own goroutine
	case *redis.Client:
		if c.config.Mode == Sentinel && c.scout.busy.CompareAndSwap(false, true) {
			c.background.Go(func() {
				defer c.scout.busy.Store(false)
				ctx, cancel := context.WithTimeout(c.life, sentinelTimeout)
				defer cancel()
				if addr, err := c.masterAddr(ctx); err == nil && addr != c.dials.master() {
					b.HalfOpen()
				}
			})
		}
	}
}
