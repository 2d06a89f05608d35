package store

import (
	"slices"
	"sync"
	"time"
)

// Lease is the right to make a response, until it is released or expires. Only the
// holder of its token can release it.
type Lease struct {
	Key, Token string
	// Stay is how long the lease stays taken after its release, so that instances do not
	// all call a handler that has just failed. 0 releases it at once.
	Stay time.Duration
	// unsure is set if the reply to the command that acquires the lease was lost: Redis
	// may execute it later than the release, which is repeated until it finds the lease.
	unsure     bool
	tries      int
	due, until time.Time // of the next attempt to release it, and of the last
}

// returns are the leases to be released in the background, by one goroutine that runs
// while there are any: no request waits for a release.
type returns struct {
	mu      sync.Mutex
	all     []Lease
	wake    chan struct{} // closed when one is added; nil while no goroutine runs
	running bool
}

const (
	maxReturns  = 10_000 // more expire by themselves
	returnBatch = 100
	firstPause  = 20 * time.Millisecond // doubled each time
)

// add queues a lease, and reports whether the goroutine must be started.
func (rs *returns) add(l Lease) (start bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.all) >= maxReturns {
		rs.all = rs.all[1:]
	}
	rs.all = append(rs.all, l)
	if rs.running {
		close(rs.wake)
		rs.wake = make(chan struct{})
		return false
	}
	rs.running, rs.wake = true, make(chan struct{})
	return true
}

func (rs *returns) stopped() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.running = false
}

// take returns the leases that are due, or how long to wait for the next. wake is closed
// when a lease is added. over reports that none is left and the goroutine must end.
func (rs *returns) take() (batch []Lease, pause time.Duration, wake <-chan struct{}, over bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	now := time.Now()
	pause = time.Hour
	rs.all = slices.DeleteFunc(rs.all, func(l Lease) bool {
		switch {
		case now.After(l.until):
			return true // expired by itself
		case len(batch) < returnBatch && !l.due.After(now):
			batch = append(batch, l)
			return true
		}
		pause = min(pause, max(l.due.Sub(now), 0))
		return false
	})
	if over = len(batch) == 0 && len(rs.all) == 0; over {
		rs.running = false
	}
	return batch, pause, rs.wake, over
}

// keep queues leases whose release failed or must be repeated, with a longer pause each
// time.
func (rs *returns) keep(left []Lease) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, l := range left {
		l.due = time.Now().Add(firstPause << min(l.tries, 8))
		l.tries++
		rs.all = append(rs.all, l)
	}
}
