package lockmw

import (
	"sync"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
)

// clock watches a server's clock, which leases in Redis go by, against the
// monotonic one of this process. If the server's is set forward, leases look
// expired that are not: queue.lua takes over from a holder that never released
// only for a caller that has seen the clock run evenly for a lease. The others
// give that holder one lease more.
type clock struct {
	mu     sync.Mutex
	base   time.Time // what the server is ahead of; zero before the first answer
	lo, hi int64     // by so many ms, at least and at most
	since  time.Time // it has run evenly since then
}

// saw takes the time in an answer to a call that was sent at sent.
func (c *clock) saw(server int64, sent, now time.Time, tolerance time.Duration) {
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
// been watched for a lease.
func (c *clock) expect(now time.Time, ttl time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() || now.Sub(c.since) < ttl {
		return 0
	}
	return now.Sub(c.base).Milliseconds() + (c.lo+c.hi)/2
}

// tolerance is how much a clock may be off: half of the margin, the other half is
// for a holder to stop.
func (c *config) tolerance() time.Duration { return lease.Margin(c.ttl) / 2 }
