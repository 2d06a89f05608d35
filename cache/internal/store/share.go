package store

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/unavailable"
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

// nearby returns what this process keeps at a place.
func (s *Store) Near(p Place, h http.Header) (Found, bool) { return s.near.get(p, h) }

// lookup is what the store has at a place, see [Store.find], and keeps it near. It
// fails as long as an invalidation of the bucket is still to be written.
func (s *Store) Lookup(ctx context.Context, p Place, h http.Header, lease bool) (Found, error) {
	if s.pending.has(p.Log) {
		return Found{Place: p, Variant: s.set.Rules.Variant(nil, h)}, errPending
	}
	gen, begun := s.gen.Load(), time.Now()
	f, err := s.Find(ctx, p, h, lease)
	if err == nil && f.Fresh() && s.gen.Load() == gen {
		s.near.put(f, begun)
	}
	return f, err
}

// find looks up what the store has at a place, unless Redis is known to be down.
// With lease it takes the lease to make the response, if it is likely to be
// missing.
func (s *Store) Find(ctx context.Context, p Place, h http.Header, lease bool) (Found, error) {
	k := s.memo.get(p.Hash)
	guess := Found{Place: p, Names: k.names, Variant: s.set.Rules.Variant(k.names, h)}
	q := wanted{h: h, class: ClassOf(h), probe: !time.Now().Before(k.until)}
	key := p.Hash + guess.Variant
	if q.probe {
		key += string(q.class)
	}
	if lease = lease && q.probe && !s.ended.Load(); lease {
		key += "+"
	}
	f, err := s.shares.do(key, func() (Found, error) {
		if lease { // before it is sent: a reply that is late must not leave it behind
			q.token = rand.Text()
		}
		return s.findNow(ctx, guess, k, q)
	})
	if err == nil && f.Variant != guess.Variant {
		if variant := s.set.Rules.Variant(f.Names, h); f.Variant != variant {
			// The request that looked up for us has other values in selecting headers.
			// Only now it is known which these are.
			q.token = ""
			f, err = s.findNow(ctx, Found{Place: p, Names: f.Names, Variant: variant}, s.memo.get(p.Hash), q)
		}
	}
	if err != nil {
		guess.HitForMiss = k.unstored > 1 && k.unstoredOf == q.class && time.Now().Before(k.unstoredUntil)
		return guess, err
	}
	return f, nil
}

func (s *Store) findNow(ctx context.Context, guess Found, k known, q wanted) (Found, error) {
	call, ok := s.nodes.Allow(guess.Log)
	if !ok {
		return guess, unavailable.Err
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.ReadTimeout)
	defer cancel()
	f, err := s.query(bound, guess, k, q)
	s.report(ctx, call, err)
	switch {
	case err != nil:
		s.doubtAll()
		s.Release(Lease{Key: guess.LeaseKey(guess.Variant), Token: q.token, unsure: true})
		f.Lease = ""
	case f.Lease != "" && f.Fresh():
		s.Release(Lease{Key: f.LeaseKey(f.Variant), Token: f.Lease})
		f.Lease = ""
	case f.Lease != "":
		s.Release(s.leases.offer(f.LeaseKey(f.Variant), f.Lease, s.set.LeaseTTL))
	}
	return f, err
}
