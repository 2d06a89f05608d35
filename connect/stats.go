package connect

import (
	"slices"

	"github.com/redis/go-redis/v9"
)

// Stats are the counters of a connection since it was made.
type Stats struct {
	Pool       redis.PoolStats `json:"pool"`
	InFlight   int64           `json:"in_flight"` // calls now
	Dials      int64           `json:"dials"`
	DialErrors int64           `json:"dial_errors"`
	Batched    int64           `json:"batched"` // commands that went through [Conn.Batched]'s pipeline
	// Opened is how often a breaker opened, Refused how many calls open
	// breakers refused, and Open which nodes are cut off now ("" is the
	// server, but on a cluster).
	Opened  int64    `json:"breaker_opened"`
	Refused int64    `json:"breaker_refused"`
	Open    []string `json:"breaker_open,omitempty"`
}

// Stats returns the counters. It does not ask Redis.
func (c *Conn) Stats() Stats {
	s := Stats{Pool: *c.client.PoolStats(), InFlight: c.gate.inFlight(), Dials: c.dials.count.Load(), DialErrors: c.dials.fails.Load(),
		Batched: c.batchedCount.Load()}
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
