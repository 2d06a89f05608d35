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

// shares has a crowd of requests that ask for the same thing share their
// look-ups: whoever comes while one is under way joins the next, which begins
// after it came. So nobody is told of a time before its request.
type shares struct {
	mu  sync.Mutex
	all map[string]*share
}

type share struct {
	running *asking
	next    *asking // nil while nobody waits
}

type asking struct {
	done chan struct{}
	f    found
	err  error
}

// do returns what ask says, or said to others that began to wait with us.
func (s *shares) do(key string, ask func() (found, error)) (found, error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[string]*share{}
	}
	sh := s.all[key]
	mine := &asking{}
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
	mine.f, mine.err = ask()
	return mine.f, mine.err
}

// finish lets those go who wait for mine, and the next begin.
func (s *shares) finish(key string, sh *share, mine *asking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.running, sh.next = sh.next, nil; sh.running == nil {
		delete(s.all, key)
	}
	if mine.done != nil {
		close(mine.done)
	}
}

// ask looks a request's place up, unless Redis is known to be down. With lease
// it takes the lease to make the response, if it is likely to be missing.
func (c *Cache) ask(ctx context.Context, p place, h http.Header, lease bool) (found, error) {
	k := c.memo.get(p.hash)
	guess := found{place: p, names: k.names, variant: c.variant(k.names, h)}
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
		return c.askNow(ctx, guess, k, q)
	})
	if err == nil && f.variant != guess.variant {
		if variant := c.variant(f.names, h); f.variant != variant {
			// The one that asked for us had other values in headers that select, as it
			// turned out. Now it is known which they are.
			q.token = ""
			f, err = c.askNow(ctx, found{place: p, names: f.names, variant: variant}, c.memo.get(p.hash), q)
		}
	}
	if err != nil {
		guess.open = k.opened > 1 && k.openOf == q.class && time.Now().Before(k.open)
		return guess, err
	}
	return f, nil
}

func (c *Cache) askNow(ctx context.Context, guess found, k known, q wanted) (found, error) {
	call, ok := c.nodes.Allow(guess.log)
	if !ok {
		return guess, ErrUnavailable
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	f, err := c.find(bound, guess, k, q)
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
	case breaker.Opened:
		c.logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, nothing is cached", slog.String("addr", e.Addr))
	case breaker.Closed:
		c.logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, responses are cached again", slog.String("addr", e.Addr))
	}
}
