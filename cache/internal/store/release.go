package store

import (
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed release.lua
var releaseSource string

// Release releases a lease: in the background, repeated until Redis is back, or before it
// returns if Close was called. A lease without a token is none.
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

// giveLeasesBack runs until all leases are released, or until Close, which releases the
// rest.
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

// endLeases returns those that have to be tried once more.
func (s *Store) endLeases(ctx context.Context, batch []Lease) (left []Lease) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.WriteTimeout)
	defer cancel()
	calls := make([]scriptCall, len(batch))
	for i, l := range batch {
		calls[i] = scriptCall{[]string{l.Key}, []any{l.Token, l.Stay.Milliseconds(), 0}}
	}
	say, err := s.scripted(bound, s.endScript, calls, func(redis.Pipeliner) {})
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

// returnAll releases all leases of the process, with one attempt. What fails expires.
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
