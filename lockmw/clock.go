package lockmw

import (
	"sync"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
)

// clock compares a server's clock, which leases in Redis go by, with the
// monotonic clock of this process. If the server's clock is set forward, leases
// look expired that are not. So queue.lua lets only a caller that has seen the
// clock run evenly for a lease take over from a holder that never released; it
// gives that holder one lease more before others may.
type clock struct {
	mu     sync.Mutex
	base   time.Time // what offsets count from; zero before the first reply
	lo, hi int64     // bounds of the server's offset, in ms
	since  time.Time // it has run evenly since then
}

// observe takes the time in a reply to a call that was sent at sent.
func (c *clock) observe(server int64, sent, now time.Time, tolerance time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.base.IsZero()
	if first {
		c.base = sent
	}
	lo, hi := server-now.Sub(c.base).Milliseconds()-1, server-sent.Sub(c.base).Milliseconds()+1
	tol := tolerance.Milliseconds()
	if first || lo > c.hi+tol || hi < c.lo-tol {
		c.lo, c.hi, c.since = lo, hi, now
		return
	}
	if c.lo, c.hi = max(c.lo, lo), min(c.hi, hi); c.lo > c.hi { // it drifts
		c.lo, c.hi = lo, hi
	}
}

// expect returns the server's time at now, in ms since 1970, or 0 if it has not
// been observed for a lease.
func (c *clock) expect(now time.Time, ttl time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() || now.Sub(c.since) < ttl {
		return 0
	}
	return now.Sub(c.base).Milliseconds() + (c.lo+c.hi)/2
}

// clockTolerance is how far a clock may be off: half of the margin at the end of
// a lease, the other half is for the holder to stop.
func (c *config) clockTolerance() time.Duration { return lease.Margin(c.ttl) / 2 }
