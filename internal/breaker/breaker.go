// Package breaker spares requests the wait for a Redis that is known to be
// down. A [Breaker] is for one node. Package connect has one in each node's
// client; the middlewares have a [Set] for clients that bring none.
package breaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	failuresToOpen = 5
	pause          = time.Second
	jitter         = pause / 5 // so that instances do not probe in step
)

// ErrShared is part of the error of a call whose time ran out in a batch with
// others, which is one failure and not as many as it has calls. The connection,
// which sent the batch, judges it.
var ErrShared = errors.New("the batch was shared with other calls")

// ErrOpen is part of the error of a call that an open breaker refused. Nothing
// was sent and no time was lost.
var ErrOpen = errors.New("the circuit breaker is open")

// Outcome is how a call ended.
type Outcome uint8

// The outcomes.
const (
	Answered  Outcome = iota // by Redis, with whatever reply
	Failed                   // no answer: refused, reset, timed out
	NoVerdict                // says nothing about Redis: cancelled, or refused by another breaker
)

// Change is what a report changed; each is worth one line in a log.
type Change uint8

// The changes.
const (
	None Change = iota
	Opened
	Closed
)

// Ticket allows one call.
type Ticket struct {
	probe bool
	start int64 // since epoch
}

// Took is how long ago the call was allowed.
func (t Ticket) Took() time.Duration { return time.Duration(now() - t.start) }

// Breaker opens after five failures in a row (of a whole [Set] after more), of
// which those of calls that ran at the same time count as one, see [row]; then it
// lets one call through each second, give or take a fifth, until one gets a reply.
// The zero value is closed, and it is safe for concurrent use. While it is closed
// and all is well, a call costs two atomic loads.
type Breaker struct {
	until   atomic.Int64 // since epoch; 0 is closed
	failing atomic.Bool  // whether failures has any, which it has while open
	cause   atomic.Pointer[error]
	opened  atomic.Int64
	refused atomic.Int64
	limit   int32 // of failures in a row, 0 for failuresToOpen

	mu       sync.Mutex // of failures, and of what opens and closes
	failures row
}

// epoch makes instants of the monotonic clock numbers.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

func next() int64 { return now() + int64(pause-jitter) + rand.Int64N(int64(2*jitter)) }

// Allow reports whether a call may be made. If so, its outcome must be
// reported with the ticket.
func (b *Breaker) Allow() (Ticket, bool) { return b.allow(now()) }

func (b *Breaker) allow(at int64) (Ticket, bool) {
	t := Ticket{start: at}
	until := b.until.Load()
	if until == 0 {
		return t, true
	}
	// The call that moves the time is the probe. One that never reports is followed
	// by another after the pause.
	if at < until || !b.until.CompareAndSwap(until, next()) {
		b.refused.Add(1)
		return t, false
	}
	t.probe = true
	return t, true
}

// Report records how a call ended; err is the cause of a failure.
func (b *Breaker) Report(t Ticket, o Outcome, err error) Change {
	switch o {
	case Answered:
		if b.failing.Load() && b.forget() {
			return Closed
		}
	case Failed:
		return b.fail(t, err)
	case NoVerdict:
		if t.probe {
			b.HalfOpen()
		}
	}
	return None
}

// fail is apart because err escapes.
func (b *Breaker) fail(t Ticket, err error) Change {
	b.cause.Store(&err)
	limit := b.limit
	if limit == 0 {
		limit = failuresToOpen
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now()
	b.failing.Store(true)
	b.failures.add(t.start, at, isRefused(err))
	switch open := b.until.Load() != 0; {
	case !open && b.failures.isOutage(limit, at):
		b.until.Store(next())
		b.opened.Add(1)
		return Opened
	case open && t.probe:
		b.until.Store(next())
	}
	return None
}

// HalfOpen lets the next call through an open breaker, for a caller that knows
// that something has changed.
func (b *Breaker) HalfOpen() {
	if until := b.until.Load(); until != 0 {
		b.until.CompareAndSwap(until, now())
	}
}

// forget closes the breaker and reports whether it was open: after an answer, or
// for a caller that knows that its node serves nothing any more.
func (b *Breaker) forget() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing.Store(false)
	b.failures = row{}
	return b.until.Swap(0) != 0
}

// Open reports whether the breaker is open.
func (b *Breaker) Open() bool { return b.until.Load() != 0 }

// Cause is the last failure, nil if there was none.
func (b *Breaker) Cause() error {
	if p := b.cause.Load(); p != nil {
		return *p
	}
	return nil
}

// Counts are how often the breaker opened and how many calls it refused.
func (b *Breaker) Counts() (opened, refused int64) { return b.opened.Load(), b.refused.Load() }

// Err is the error of a refused call: it matches [ErrOpen] and the last
// failure.
func (b *Breaker) Err() error {
	if cause := b.Cause(); cause != nil {
		return fmt.Errorf("%w: %w", ErrOpen, cause)
	}
	return ErrOpen
}
