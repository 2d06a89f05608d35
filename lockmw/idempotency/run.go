package idempotency

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/lockmw"
)

// Attempt is one time that an operation is done, see [FromContext] and
// [Run.Attempt].
type Attempt struct {
	// Number is 1, and with [WithRerun] more if attempts before may have done
	// something: their outcome is unknown.
	Number int
	// Fence grows from attempt to attempt. Store it with what is written and
	// refuse smaller ones: an attempt that lost its lock may still be writing.
	Fence uint64
}

// Run is an operation that runs, which holds its lock. End it with one of Keep,
// Spend and Forget, and release it in any case, best by defer: a panic then
// leaves the outcome unknown. It is safe for concurrent use; the first end
// counts.
type Run struct {
	k       *Keeper
	op      Operation
	id      string
	lock    *lockmw.Lock
	owner   string
	attempt Attempt
	ctx     context.Context
	forget  atomic.Bool

	mu      sync.Mutex
	outcome string // "" while it runs
	late    bool   // the lock is let go by who records the end
}

// Context returns the context to do the operation with. It ends when the lock
// is lost, as [lockmw.Lock.Context] does, and [FromContext] and [Forget] accept
// it.
func (r *Run) Context() context.Context { return r.ctx }

// Attempt returns which attempt this is.
func (r *Run) Attempt() Attempt { return r.attempt }

// Keep ends the run: the operation was done, and a retry gets result, for
// [WithTTL]. It is tried until Redis accepts it or for four times
// [WithTimeout]; then it returns [ErrUnavailable] and continues in the
// background, for a minute at most. The error is [ErrSuperseded] if the lock
// was lost and another attempt has begun since. After [Forget] it forgets
// instead.
func (r *Run) Keep(result []byte) error { return r.end(outcomeKept, result) }

// Spend ends the run: the operation was done, and a retry gets [ErrNotKept].
// Use it for results that are too large or secret. The errors are those of
// Keep.
func (r *Run) Spend() error { return r.end(outcomeNotKept, nil) }

// Forget ends the run: it had no effect, and a retry runs again. If an attempt
// before may have had one, the outcome stays unknown. The errors are those of
// Keep.
func (r *Run) Forget() error { return r.end(outcomeForgotten, nil) }

// Release releases the lock. The outcome of a run that was not ended is
// unknown.
func (r *Run) Release() {
	r.mu.Lock()
	open := r.outcome == ""
	if open {
		r.outcome = outcomeUnknown
	}
	r.mu.Unlock()
	if open {
		r.ran(outcomeUnknown)
	}
	r.releaseUnlessLate()
}

// holder is the attempt as the scripts take it.
func (r *Run) holder() holder {
	return holder{id: r.id, owner: r.owner, fence: r.attempt.Fence, fingerprint: r.op.Fingerprint[:], ttl: r.k.ttl}
}

// begin records the attempt. A reply that was lost is asked for again, which
// begins nothing twice.
func (r *Run) begin() (record, error) {
	k, lost := r.k, r.lock.Context()
	r.ctx = context.WithValue(lost, runKey{}, r)
	var rec record
	begun := false // perhaps
	err := persist(2*k.timeout, lost.Done(), func() (err error) {
		rec, err = k.store.begin(context.WithoutCancel(lost), r.holder(), k.rerun)
		begun = begun || !refused(err)
		return err
	})
	if err == nil && rec.mine && k.waitReplicas > 0 {
		err = k.store.confirm(context.WithoutCancel(lost), r.id, k.ttl, bounded.Replicas{N: k.waitReplicas, Patience: k.waitTimeout})
	}
	if err == nil && rec.mine && lost.Err() != nil { // it took so long that another may begin
		err = context.Cause(lost)
	}
	if err != nil {
		if begun {
			r.finishLater(outcomeForgotten, nil, false)
		}
		return record{}, err
	}
	r.attempt.Number = rec.attempt
	return rec, nil
}

// end records the outcome; the first call counts.
func (r *Run) end(o string, result []byte) error {
	if r.forget.Load() {
		o, result = outcomeForgotten, nil
	}
	r.mu.Lock()
	over := r.outcome != ""
	if !over {
		r.outcome = o
	}
	r.mu.Unlock()
	if over {
		return nil
	}
	mine, err := r.finish(4*r.k.timeout, o, result)
	if err != nil {
		r.finishLater(o, result, true)
		return failure("finish", err)
	}
	return r.ended(o, mine)
}

// The outcomes of runs, see [Hooks].
const (
	outcomeKept      = "kept"
	outcomeNotKept   = "not-kept"
	outcomeForgotten = "forgotten"
	outcomeUnknown   = "unknown"
)

// endings are the states in Redis of the outcomes that are recorded.
var endings = map[string]state{outcomeKept: stateKept, outcomeNotKept: stateSpent, outcomeForgotten: stateForgotten}

// finish records the outcome, with as many tries as it takes: it is recorded once.
func (r *Run) finish(within time.Duration, o string, result []byte) (mine bool, err error) {
	err = persist(within, r.k.quit, func() (err error) {
		mine, err = r.k.store.end(context.WithoutCancel(r.lock.Context()), r.holder(), endings[o], result)
		return err
	})
	return mine, err
}

// lateFor is how long a Redis that is away is waited for, in the background.
const lateFor = time.Minute

// finishLater records the outcome in the background and releases the lock then:
// until that, a retry gets 409 with Retry-After.
func (r *Run) finishLater(o string, result []byte, ran bool) {
	r.mu.Lock()
	r.late = true
	r.mu.Unlock()
	record := func(within time.Duration) {
		mine, err := r.finish(within, o, result)
		switch {
		case err != nil:
			r.k.failed(r.ctx, failure("finish", err))
			r.k.logger.LogAttrs(r.ctx, slog.LevelError, "the outcome of a request could not be recorded: it stays unknown")
		case ran:
			_ = r.ended(o, mine)
		}
		r.release()
	}
	if !r.k.later(func() { record(lateFor) }) {
		record(0) // the keeper is closed: once
	}
}

// ended reports a recorded outcome to the hook, or that another attempt has
// begun.
func (r *Run) ended(o string, mine bool) error {
	if !mine {
		r.k.failed(r.ctx, ErrSuperseded)
		return ErrSuperseded
	}
	r.ran(o)
	return nil
}

func (r *Run) ran(o string) {
	if r.k.hooks.Ran != nil {
		r.k.hooks.Ran(r.ctx, r.attempt, o)
	}
}

// releaseUnlessLate leaves the lock to the background if that still records the
// end.
func (r *Run) releaseUnlessLate() {
	r.mu.Lock()
	late := r.late
	r.mu.Unlock()
	if !late {
		r.release()
	}
}

func (r *Run) release() {
	if err := r.lock.Release(r.ctx); err != nil && !errors.Is(err, lockmw.ErrLost) {
		r.k.failed(r.ctx, err)
	}
}

// persist calls fn until it succeeds, until the time is over, or until stop.
func persist(within time.Duration, stop <-chan struct{}, fn func() error) error {
	until := time.Now().Add(within)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := fn()
		if err == nil || time.Now().Add(pause).After(until) {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-stop:
			wait.Stop()
			return err
		}
	}
}

type runKey struct{}

// FromContext returns the attempt that a handler runs for, from its request's
// context or that of [Run.Context]. It is false for any other context.
func FromContext(ctx context.Context) (Attempt, bool) {
	r, ok := ctx.Value(runKey{}).(*Run)
	if !ok {
		return Attempt{}, false
	}
	return r.attempt, true
}

// Forget has the response sent and not kept, and a retry run again: call it in
// a handler that refused the request, or undid all it did. It reports whether
// the context is one of a run.
func Forget(ctx context.Context) bool {
	r, ok := ctx.Value(runKey{}).(*Run)
	if ok {
		r.forget.Store(true)
	}
	return ok
}
