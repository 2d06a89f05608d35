package cronlock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

// Job is one job of a [Runner], made by [Runner.Job]. It is safe for concurrent
// use.
type Job struct {
	config
	r    *Runner
	name string
	key  string
	fn   func(ctx context.Context) error
}

// Outcome is what became of a tick on this instance: [Ran], or one of the
// following. [Job.Run] returns it, and Hooks.Skipped gets those other than [Ran].
//
//   - "already": this tick, or a later one, was begun.
//   - "running": a run is under way elsewhere, and this instance does not watch it.
//   - "too-late": it is later than [WithMaxLate].
//   - "too-soon": it is sooner than [WithMinGap] after the last start.
//   - "failed": Redis did not answer, or the wait was cut short.
//   - "misfired": a scheduler called [Job.Func], and its schedule has no tick. Only
//     [Hooks] get it.
type Outcome string

// Ran is the outcome of a tick that ran here.
const Ran Outcome = "ran"

const (
	already  Outcome = "already"
	running  Outcome = "running"
	tooLate  Outcome = "too-late"
	tooSoon  Outcome = "too-soon"
	failed   Outcome = "failed"
	misfired Outcome = "misfired"
)

// Run is one run of a job on this instance, see [FromContext] and [Hooks].
type Run struct {
	Job     string
	Tick    time.Time // zero without a schedule
	Fence   uint64    // grows from each run of the job to the next
	Attempt int       // above 1 after a takeover
}

type runKey struct{}

// FromContext returns the run that ctx belongs to: call it with the context
// that the job gets, for the tick that it is about and the fence of what it
// writes. It is false for any other context.
func FromContext(ctx context.Context) (Run, bool) {
	r, ok := ctx.Value(runKey{}).(Run)
	return r, ok
}

// Run runs the job here if this tick is due and no instance has begun it, and
// returns when the job has. All instances call it with the same tick, rounded
// alike. A zero tick is for jobs with [WithMinGap]. The job's context descends
// from ctx.
//
// With [Ran] the error is the job's; it also matches [lockmw.ErrLost] if the
// lease was lost while the job ran. With "failed" it matches [ErrUnavailable],
// [lockmw.ErrClosed] after [Runner.Close], or the cause of ctx, which ended
// while the call waited. It is an [*OptionError] if the tick is before 1970, or
// zero and the job has no WithMinGap.
//
// While Redis is unavailable the job does not run. A tick that was not begun
// can be tried again until [WithMaxLate].
func (j *Job) Run(ctx context.Context, tick time.Time) (Outcome, error) {
	if err := j.decidable(tick); err != nil {
		j.failed(ctx, err)
		return failed, err
	}
	if !j.r.start() {
		return failed, lockmw.ErrClosed
	}
	defer j.r.calls.Done()
	q := question{owner: j.r.newOwner(), tick: tick}
	for {
		sent := time.Now()
		a, err := j.decide(ctx, q)
		if err != nil {
			err = fmt.Errorf("cronlock: %w: %w", ErrUnavailable, err)
			j.failed(ctx, err)
			return failed, err
		}
		var pause time.Duration
		switch {
		case a.code == 1:
			return Ran, j.run(ctx, Run{j.name, tick, a.fence, int(a.n)}, q.owner, sent)
		case a.code == -2: // its time has not come, by the server's clock
			pause = a.left() - j.maxAhead
		case a.code == -1 && j.takeover: // watch it
			pause = min(a.left(), j.ttl/3)
			q.watched = true
		default:
			o := map[int64]Outcome{0: already, -1: running, -3: tooLate, -4: tooSoon}[a.code]
			j.skipped(ctx, o)
			return o, nil
		}
		if err := j.wait(ctx, pause); err != nil {
			return failed, err
		}
	}
}

// decidable returns an error for a tick that would not tell one run from the next.
func (j *Job) decidable(tick time.Time) error {
	switch {
	case tick.IsZero() && j.minGap == 0:
		return &OptionError{Package: "cronlock", Option: "tick", Reason: "is zero and there is no WithMinGap: nothing would tell a run from the next"}
	case !tick.IsZero() && tick.UnixMilli() <= 0:
		return &OptionError{Package: "cronlock", Option: "tick", Reason: "is before 1970"}
	}
	return nil
}

// wait returns after a pause, or with an error when ctx ends or the runner is
// closed: a call that waits has not begun anything.
func (j *Job) wait(ctx context.Context, pause time.Duration) error {
	wait := time.NewTimer(pause + time.Millisecond + time.Duration(rand.Int64N(int64(20*time.Millisecond))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cronlock: wait: %w", context.Cause(ctx))
	case <-j.r.closing:
		return lockmw.ErrClosed
	}
}
