package cache

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
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

// find looks up what the store has at a place, unless Redis is known to be down.
// With lease it takes the lease to make the response, if it is likely to be
// missing.
func (c *Cache) find(ctx context.Context, p place, h http.Header, lease bool) (found, error) {
	k := c.memo.get(p.hash)
	guess := found{place: p, names: k.names, variant: c.rules.Variant(k.names, h)}
	q := wanted{h: h, class: classOf(h), probe: !time.Now().Before(k.until)}
	key := p.hash + guess.variant
	if q.probe {
		key += string(q.class)
	}
	if lease = lease && q.probe && c.waitMax > 0 && !c.ended.Load(); lease {
		key += "+"
	}
	f, err := c.shares.do(key, func() (found, error) {
		if lease { // before it is sent: a reply that is late must not leave it behind
			q.token = rand.Text()
		}
		return c.findNow(ctx, guess, k, q)
	})
	if err == nil && f.variant != guess.variant {
		if variant := c.rules.Variant(f.names, h); f.variant != variant {
			// The request that looked up for us has other values in selecting headers.
			// Only now it is known which these are.
			q.token = ""
			f, err = c.findNow(ctx, found{place: p, names: f.names, variant: variant}, c.memo.get(p.hash), q)
		}
	}
	if err != nil {
		guess.hitForMiss = k.unstored > 1 && k.unstoredOf == q.class && time.Now().Before(k.unstoredUntil)
		return guess, err
	}
	return f, nil
}

func (c *Cache) findNow(ctx context.Context, guess found, k known, q wanted) (found, error) {
	call, ok := c.nodes.Allow(guess.log)
	if !ok {
		return guess, ErrUnavailable
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	f, err := c.query(bound, guess, k, q)
	c.report(ctx, call, err)
	switch {
	case err != nil:
		c.doubtAll()
		c.release(returned{key: guess.leaseKey(guess.variant), token: q.token, unsure: true})
		f.lease = ""
	case f.lease != "" && f.fresh():
		c.release(returned{key: f.leaseKey(f.variant), token: f.lease})
		f.lease = ""
	case f.lease != "":
		c.release(c.leases.offer(f.leaseKey(f.variant), f.lease, c.leaseTTL))
	}
	return f, err
}

func (c *Cache) report(ctx context.Context, call breaker.Call, err error) {
	switch e := c.nodes.Report(call, err); e.Change {
	case breaker.None:
	case breaker.Opened:
		c.logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, nothing is cached", slog.String("addr", e.Addr))
	case breaker.Closed:
		c.logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, responses are cached again", slog.String("addr", e.Addr))
	}
}
