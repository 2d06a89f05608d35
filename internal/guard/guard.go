// Package guard spares requests the wait for a Redis that is known to be down.
// The limiter, the session and the cache share it until the connection has a
// breaker of its own.
package guard

import (
	"sync"
	"time"
)

const (
	failuresToOpen = 5
	probeEvery     = time.Second
)

// Change is what a report changed.
type Change uint8

// The changes; each is worth one line in a log.
const (
	None Change = iota
	Down
	Back
)

// Guard opens after five failures in a row; then it lets one call through each
// second until one succeeds. The zero value is ready, and it is safe for
// concurrent use.
type Guard struct {
	mu       sync.Mutex
	failures int
	probeAt  time.Time
}

// Try reports whether Redis may be asked.
func (g *Guard) Try(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures < failuresToOpen {
		return true
	}
	if now.Before(g.probeAt) {
		return false
	}
	g.probeAt = now.Add(probeEvery) // this caller is the probe
	return true
}

// Report records the outcome of a call.
func (g *Guard) Report(ok bool, now time.Time) Change {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ok {
		open := g.failures >= failuresToOpen
		g.failures = 0
		if open {
			return Back
		}
		return None
	}
	g.failures++
	if g.failures == failuresToOpen {
		g.probeAt = now.Add(probeEvery)
		return Down
	}
	return None
}
