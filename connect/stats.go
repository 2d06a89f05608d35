package connect

import (
	"slices"

	"github.com/redis/go-redis/v9"
)

// Stats are the counters of a connection since it was made, for metrics. For a
// client of [FromClient] only Pool and Batched are counted.
type Stats struct {
	// Pool are go-redis' figures: hits, misses, timeouts and open connections.
	Pool redis.PoolStats `json:"pool"`
	// InFlight is the number of calls to Redis now.
	InFlight int64 `json:"in_flight"`
	// Dials counts the connections dialled, DialErrors those that failed. On a
	// cluster they are those to all nodes.
	Dials      int64 `json:"dials"`
	DialErrors int64 `json:"dial_errors"`
	// Batched counts the commands that [Conn.Batched] sent together with others.
	Batched int64 `json:"batched"`
	// Opened counts how often a breaker opened, and Refused the calls that open
	// breakers rejected.
	Opened  int64 `json:"breaker_opened"`
	Refused int64 `json:"breaker_refused"`
	// Open lists the nodes whose breaker is open now. On topologies other than a
	// cluster the one server is "".
	Open []string `json:"breaker_open,omitempty"`
}

// Stats returns the counters. It does not ask Redis and costs little, so that
// metrics may read it often, also while Redis is down.
func (c *Conn) Stats() Stats {
	s := Stats{
		Pool: *c.client.PoolStats(), InFlight: c.gate.inFlight(), Dials: c.dials.count.Load(), DialErrors: c.dials.fails.Load(),
		Batched: c.batchedCount.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, b := range c.circuits {
		opened, refused := b.Counts()
		s.Opened += opened
		s.Refused += refused
		if b.Open() {
			s.Open = append(s.Open, addr)
		}
	}
	slices.Sort(s.Open)
	return s
}
