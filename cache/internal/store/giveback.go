package store

import (
	_ "embed" // for the script
	"slices"
	"sync"
	"time"
)

// Lease is the right to make a response, until it is released or expires.
type Lease struct {
	Key, Token string
	unsure     bool          // its command may not have reached Redis yet: it is asked for until it is found
	Stay       time.Duration // for which it stays taken
	tries      int
	due, until time.Time
}

// returns are the leases that one goroutine gives back, so that no request
// waits for that. It runs while there are any.
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

// add reports whether a goroutine has to be started.
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

// take returns what is due, or for how long to wait. It is over when nothing is left.
func (rs *returns) take() (batch []Lease, pause time.Duration, wake <-chan struct{}, over bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	now := time.Now()
	pause = time.Hour
	rs.all = slices.DeleteFunc(rs.all, func(l Lease) bool {
		switch {
		case now.After(l.until):
			return true // it has expired
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

// keep puts back what has to be tried once more.
func (rs *returns) keep(left []Lease) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, l := range left {
		l.due = time.Now().Add(firstPause << min(l.tries, 8))
		l.tries++
		rs.all = append(rs.all, l)
	}
}
