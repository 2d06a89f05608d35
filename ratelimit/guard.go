package ratelimit

import (
	"sync"
	"time"
)

const (
	failuresToOpen = 5
	probeEvery     = time.Second
)

// guard spares requests the wait for a Redis that is known to be down: after
// five failures in a row it lets one call through each second, until one
// succeeds.
type guard struct {
	mu       sync.Mutex
	failures int
	probeAt  time.Time
}

// try reports whether Redis may be asked.
func (g *guard) try(now time.Time) bool {
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

// report records an outcome; what it returns is worth a line in the log.
func (g *guard) report(ok bool, now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ok {
		open := g.failures >= failuresToOpen
		g.failures = 0
		if open {
			return "redis is back, limits are shared again"
		}
		return ""
	}
	g.failures++
	if g.failures == failuresToOpen {
		g.probeAt = now.Add(probeEvery)
		return "redis is unavailable, limits are decided without it"
	}
	return ""
}
