package store

import (
	"sync"
)

// shares is a singleflight of look-ups whose results are never older than the request: a
// request that arrives during a look-up does not join that one but the next, which begins
// when the present one ends. Any number of concurrent requests for one response costs two
// look-ups at a time, and a purge that precedes a request always counts for it.
type shares struct {
	mu  sync.Mutex
	all map[string]*share
}

type share struct {
	running *sharedFind
	next    *sharedFind // nil while none waits
}

type sharedFind struct {
	done chan struct{}
	f    Found
	err  error
}

// do runs find, or waits for a request that does and returns its result.
func (s *shares) do(key string, find func() (Found, error)) (Found, error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[string]*share{}
	}
	sh := s.all[key]
	mine := &sharedFind{}
	switch {
	case sh == nil:
		sh = &share{running: mine}
		s.all[key] = sh
		s.mu.Unlock()
	case sh.next != nil:
		other := sh.next
		s.mu.Unlock()
		<-other.done
		return other.f, other.err
	default:
		mine.done = make(chan struct{})
		sh.next = mine
		before := sh.running
		if before.done == nil {
			before.done = make(chan struct{})
		}
		s.mu.Unlock()
		<-before.done
	}
	defer s.finish(key, sh, mine)
	mine.f, mine.err = find()
	return mine.f, mine.err
}

// busy reports whether a look-up is under way.
func (s *shares) busy(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[key] != nil
}

// finish publishes the result of mine, and lets the next look-up begin.
func (s *shares) finish(key string, sh *share, mine *sharedFind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.running, sh.next = sh.next, nil; sh.running == nil {
		delete(s.all, key)
	}
	if mine.done != nil {
		close(mine.done)
	}
}
