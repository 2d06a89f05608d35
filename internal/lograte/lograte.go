// Package lograte bounds how often a line is logged that clients can provoke.
package lograte

import (
	"sync/atomic"
	"time"
)

// start is what the monotonic clock is read from.
var start = time.Now()

// A Gate opens at most once in a period. The zero value is ready to use, and
// safe for concurrent use.
type Gate struct{ next atomic.Int64 }

// Open reports whether the period has passed since it last reported true. The
// first call reports true.
func (g *Gate) Open(period time.Duration) bool {
	now := int64(time.Since(start)) + 1
	next := g.next.Load()
	return now >= next && g.next.CompareAndSwap(next, now+int64(period))
}
