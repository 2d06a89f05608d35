package store

import (
	"sync"
)

// shares has many requests for the same response share their look-ups: a request
// that comes while one is under way joins the next, which begins after it came. So
// no request gets an answer from before it was sent.
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

// do returns what find returns, or has returned to a request that waited with us.
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

// finish ends the wait for mine, and has the next begin.
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
