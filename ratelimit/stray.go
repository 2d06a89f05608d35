package ratelimit

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/breaker"
)

// stray is a place of a concurrency policy that Redis may hold although no
// request has it: the reply that gave it was lost, or the call that gave it back.
// It would stay taken until its lease is over. The id is this process' own, so it
// is given back as soon as Redis answers: from a timer that ends by itself, because
// a Limiter has no Close.
type stray struct {
	limiter *Limiter
	ctx     context.Context
	key, id string
	known   bool // the place was given, so one that is not there has been given back
	wait    time.Duration
	end     time.Time
	absent  bool // Redis answered that it is not there
}

const (
	maxStrays   = 1000 // at a time; further ones end with their lease
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second     // while Redis does not answer
	absentWait  = 5 * time.Second // while it answers that the place is not there
	strayLife   = 4 * lease       // of one that Redis is never asked about
)

// lost gives a place back that was asked for in a call that failed, unless
// nothing was sent or Redis itself has refused it.
func (l *Limiter) lost(ctx context.Context, q question, err error) {
	if q.hold == "" || q.set.concurrent < 0 || l.redis == nil || errors.Is(err, breaker.ErrOpen) {
		return
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		return
	}
	key := l.redisKeys(q.set, q.key)[q.set.concurrent]
	(&stray{limiter: l, ctx: context.WithoutCancel(ctx), key: key, id: q.hold}).later()
}

// giveBack tries once, and goes on in the background if Redis does not answer.
func (s *stray) giveBack() {
	if !s.try() {
		s.later()
	}
}

// try reports whether there is nothing left to do.
func (s *stray) try() bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.limiter.timeout)
	defer cancel()
	cmd := redis.NewIntCmd(ctx, "zrem", s.key, s.id)
	err := s.limiter.redis.Process(ctx, cmd)
	switch {
	case errors.Is(err, redis.ErrClosed):
		return true
	case err != nil:
		return false
	case s.known || cmd.Val() > 0:
		return true
	}
	// Not there yet: what was sent may still be on its way, for as long as a
	// network repeats what it lost.
	if !s.absent {
		s.absent, s.wait, s.end = true, 0, time.Now().Add(lease)
	}
	return false
}

func (s *stray) later() {
	if s.limiter.strays.Add(1) > maxStrays {
		s.limiter.strays.Add(-1)
		return
	}
	s.end = time.Now().Add(strayLife)
	s.again()
}

func (s *stray) again() {
	longest := longestWait
	if s.absent {
		longest = absentWait
	}
	s.wait = min(max(2*s.wait, firstWait), longest)
	time.AfterFunc(s.wait, func() {
		if s.try() || time.Now().After(s.end) {
			s.limiter.strays.Add(-1)
			return
		}
		s.again()
	})
}
