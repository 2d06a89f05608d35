package ratelimit

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/breaker"
)

// lostPlace is a place of a concurrency policy that Redis may hold although no
// request has it: the reply to the call that entered it was lost, or the call that
// released it. It would stay taken until its lease ends. No other process knows its
// id, so it is released as soon as Redis answers, from a timer that ends by itself,
// because a Limiter has no Close.
type lostPlace struct {
	limiter *Limiter
	ctx     context.Context
	at      place
	known   bool // the place was entered, so one that is not there has been released
	wait    time.Duration
	end     time.Time
	absent  bool // Redis answered that it is not there
}

// How lost places are retried. A place that Redis says is not there is retried more
// slowly, because its call may still arrive.
const (
	maxLost     = 1000 // at a time; further ones end with their lease
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second     // while Redis does not answer
	absentWait  = 5 * time.Second // while it answers that the place is not there
	lostLife    = 4 * lease       // of one that Redis never answers about
)

// releaseLost releases the place of a call that failed, unless nothing was sent
// or Redis itself has refused it.
func (l *Limiter) releaseLost(ctx context.Context, q request, err error) {
	if q.place == "" || q.set.concurrent < 0 || l.scripts == nil || errors.Is(err, breaker.ErrOpen) {
		return
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		return
	}
	(&lostPlace{limiter: l, ctx: context.WithoutCancel(ctx), at: l.placeOf(q)}).later()
}

// release tries once, and continues in the background if Redis does not answer.
func (s *lostPlace) release() {
	if !s.try() {
		s.later()
	}
}

// try calls Redis once and reports whether there is nothing left to do.
func (s *lostPlace) try() bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.limiter.timeout)
	defer cancel()
	there, err := s.limiter.scripts.releasePlace(ctx, s.at)
	switch {
	case errors.Is(err, redis.ErrClosed):
		return true
	case err != nil:
		return false
	case s.known || there:
		return true
	}
	// Not there yet: the call that enters it may still arrive, for as long as a
	// network retransmits.
	if !s.absent {
		s.absent, s.wait, s.end = true, 0, time.Now().Add(lease)
	}
	return false
}

// later starts to retry in the background, unless too many places are lost already.
func (s *lostPlace) later() {
	if s.limiter.lost.Add(1) > maxLost {
		s.limiter.lost.Add(-1)
		return
	}
	s.end = time.Now().Add(lostLife)
	s.again()
}

// again schedules the next try, with a wait that doubles.
func (s *lostPlace) again() {
	longest := longestWait
	if s.absent {
		longest = absentWait
	}
	s.wait = min(max(2*s.wait, firstWait), longest)
	time.AfterFunc(s.wait, func() {
		if s.try() || time.Now().After(s.end) {
			s.limiter.lost.Add(-1)
			return
		}
		s.again()
	})
}
