package store

import "context"

// Background runs fn on a goroutine that Close waits for; false after Close.
func (s *Store) Background(fn func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(func() { fn(s.base) })
	return true
}
