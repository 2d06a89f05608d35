package cache

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"
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
	f    found
	err  error
}

// do returns what find returns, or has returned to a request that waited with us.
func (s *shares) do(key string, find func() (found, error)) (found, error) {
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

// nearby returns what this process keeps at a place.
func (s *Store) nearby(p place, h http.Header) (found, bool) { return s.near.get(p, h) }

// lookup is what the store has at a place, see [Store.find], and keeps it near. It
// fails as long as an invalidation of the bucket is still to be written.
func (s *Store) lookup(ctx context.Context, p place, h http.Header, lease bool) (found, error) {
	if s.pending.has(p.log) {
		return found{place: p, variant: s.set.Rules.Variant(nil, h)}, errPending
	}
	gen, begun := s.gen.Load(), time.Now()
	f, err := s.find(ctx, p, h, lease)
	if err == nil && f.fresh() && s.gen.Load() == gen {
		s.near.put(f, begun)
	}
	return f, err
}

// find looks up what the store has at a place, unless Redis is known to be down.
// With lease it takes the lease to make the response, if it is likely to be
// missing.
func (s *Store) find(ctx context.Context, p place, h http.Header, lease bool) (found, error) {
	k := s.memo.get(p.hash)
	guess := found{place: p, names: k.names, variant: s.set.Rules.Variant(k.names, h)}
	q := wanted{h: h, class: classOf(h), probe: !time.Now().Before(k.until)}
	key := p.hash + guess.variant
	if q.probe {
		key += string(q.class)
	}
	if lease = lease && q.probe && !s.ended.Load(); lease {
		key += "+"
	}
	f, err := s.shares.do(key, func() (found, error) {
		if lease { // before it is sent: a reply that is late must not leave it behind
			q.token = rand.Text()
		}
		return s.findNow(ctx, guess, k, q)
	})
	if err == nil && f.variant != guess.variant {
		if variant := s.set.Rules.Variant(f.names, h); f.variant != variant {
			// The request that looked up for us has other values in selecting headers.
			// Only now it is known which these are.
			q.token = ""
			f, err = s.findNow(ctx, found{place: p, names: f.names, variant: variant}, s.memo.get(p.hash), q)
		}
	}
	if err != nil {
		guess.hitForMiss = k.unstored > 1 && k.unstoredOf == q.class && time.Now().Before(k.unstoredUntil)
		return guess, err
	}
	return f, nil
}

func (s *Store) findNow(ctx context.Context, guess found, k known, q wanted) (found, error) {
	call, ok := s.nodes.Allow(guess.log)
	if !ok {
		return guess, ErrUnavailable
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.ReadTimeout)
	defer cancel()
	f, err := s.query(bound, guess, k, q)
	s.report(ctx, call, err)
	switch {
	case err != nil:
		s.doubtAll()
		s.release(returned{key: guess.leaseKey(guess.variant), token: q.token, unsure: true})
		f.lease = ""
	case f.lease != "" && f.fresh():
		s.release(returned{key: f.leaseKey(f.variant), token: f.lease})
		f.lease = ""
	case f.lease != "":
		s.release(s.leases.offer(f.leaseKey(f.variant), f.lease, s.set.LeaseTTL))
	}
	return f, err
}
