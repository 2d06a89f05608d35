package store

import (
	"context"
	_ "embed" // for the script
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed release.lua
var releaseSource string

// returned is a lease on its way back.
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

// release gives a lease back, in the background unless Close was called.
func (s *Store) Release(l Lease) {
	if l.Token == "" {
		return
	}
	l.due, l.until = time.Now(), time.Now().Add(max(s.set.LeaseTTL, s.set.RefreshTimeout))
	if s.returns.add(l) && !s.Background(s.giveLeasesBack) {
		s.returns.stopped()
		ctx, cancel := context.WithTimeout(context.Background(), s.set.WriteTimeout)
		defer cancel()
		s.returnAll(ctx)
	}
}

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

// giveLeasesBack runs until all are back, or Close, which gives back the rest.
func (s *Store) giveLeasesBack(ctx context.Context) {
	for {
		batch, pause, wake, over := s.returns.take()
		switch {
		case over:
			return
		case len(batch) > 0:
			s.returns.keep(s.endLeases(ctx, batch))
			if ctx.Err() == nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
			s.returns.stopped()
			return
		case <-wake:
		case <-time.After(pause):
		}
	}
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

// endLeases returns those that have to be tried once more.
func (s *Store) endLeases(ctx context.Context, batch []Lease) (left []Lease) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.WriteTimeout)
	defer cancel()
	calls := make([]scriptCall, len(batch))
	for i, l := range batch {
		calls[i] = scriptCall{[]string{l.Key}, []any{l.Token, l.Stay.Milliseconds(), 0}}
	}
	say, err := s.scripted(bound, &s.endScript, calls, func(redis.Pipeliner) {})
	if err != nil {
		for i := range batch {
			batch[i].unsure = true
		}
		return batch
	}
	for i, l := range batch {
		if l.unsure && len(say[i]) == 2 && say[i][0] == 0 {
			left = append(left, l)
		}
	}
	return left
}

// returnAll gives back what is left at the end, once.
func (s *Store) returnAll(ctx context.Context) {
	s.returns.mu.Lock()
	all := s.returns.all
	s.returns.all = nil
	s.returns.mu.Unlock()
	for batch := range slices.Chunk(append(all, s.leases.all()...), returnBatch) {
		if ctx.Err() != nil {
			return
		}
		s.endLeases(ctx, batch)
	}
}
