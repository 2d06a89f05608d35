package store

import "context"

// Background runs fn on a goroutine that Close cancels and waits for. It reports false
// after Close, and fn does not run.
func (s *Store) Background(fn func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(func() { fn(s.base) })
	return true
}
