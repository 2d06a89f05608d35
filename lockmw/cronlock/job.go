package cronlock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

// Job is one job of a [Runner].
type Job struct {
	config
	r    *Runner
	name string
	key  string
	fn   func(ctx context.Context) error
}

// Outcome is what became of a tick on this instance.
type Outcome string

// The outcomes.
const (
	Ran     Outcome = "ran"      // here
	Already Outcome = "already"  // it, or a later one, was begun
	Running Outcome = "running"  // a run is under way elsewhere
	TooLate Outcome = "too-late" // see WithMaxLate
	TooSoon Outcome = "too-soon" // see WithMinGap
	Failed  Outcome = "failed"   // Redis did not answer, or the wait was cut short
)

// Run is one run of a job on this instance.
type Run struct {
	Job     string
	Tick    time.Time // zero without a schedule
	Fence   uint64    // grows from each run of the job to the next
	Attempt int       // above 1 after a takeover
}

type runKey struct{}

// FromContext returns the run that ctx belongs to.
func FromContext(ctx context.Context) (Run, bool) {
	r, ok := ctx.Value(runKey{}).(Run)
	return r, ok
}

// Run runs the job here if this tick is due and no instance has begun it. A
// zero tick is for jobs with [WithMinGap] alone. The error is the job's, or one that
// matches [lockmw.ErrUnavailable], [lockmw.ErrClosed], or [lockmw.ErrLost] if another took the run over.
func (j *Job) Run(ctx context.Context, tick time.Time) (Outcome, error) {
	if !j.r.start() {
		return Failed, lockmw.ErrClosed
	}
	defer j.r.runs.Done()
	owner := j.r.newOwner()
	for {
		sent := time.Now()
		a, err := j.ask(ctx, owner, tick)
		if err != nil {
			j.undo(owner) // it may have begun
			err = fmt.Errorf("%w: %w", lockmw.ErrUnavailable, err)
			if j.hooks.Failed != nil {
				j.hooks.Failed(ctx, j.name, err)
			}
			return Failed, err
		}
		var pause time.Duration
		switch {
		case a.code == 1:
			return Ran, j.run(ctx, Run{j.name, tick, a.fence, int(a.n)}, owner, sent)
		case a.code == -2: // its time has not come, by the server's clock
			pause = a.left() - j.maxAhead
		case a.code == -1 && j.takeover: // watch it
			pause = min(a.left(), j.ttl/3)
		default:
			o := map[int64]Outcome{0: Already, -1: Running, -3: TooLate, -4: TooSoon}[a.code]
			if j.hooks.Skipped != nil {
				j.hooks.Skipped(ctx, j.name, o)
			}
			return o, nil
		}
		wait := time.NewTimer(pause + time.Millisecond + time.Duration(rand.Int64N(int64(20*time.Millisecond))))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return Failed, fmt.Errorf("cronlock: wait: %w", context.Cause(ctx))
		case <-j.r.base.Done():
			wait.Stop()
			return Failed, lockmw.ErrClosed
		}
	}
}

type answer struct {
	code  int64
	fence uint64
	n     int64 // attempt, or milliseconds
}

func (a answer) left() time.Duration { return time.Duration(a.n) * time.Millisecond }

func (j *Job) ask(ctx context.Context, owner string, tick time.Time) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.nodeTimeout)
	defer cancel()
	at, take := int64(0), 0
	if !tick.IsZero() {
		at = tick.UnixMilli()
	}
	if j.takeover {
		take = 1
	}
	v, err := j.r.caller.Run(ctx, j.r.begin, []string{j.key, j.key + ":w"}, owner, ms(j.ttl), ms(j.retention), at, ms(j.minGap), ms(j.maxAhead), ms(j.maxLate), take, j.host).Slice()
	if err != nil {
		return answer{}, err
	}
	if len(v) != 3 {
		return answer{}, fmt.Errorf("reply of %d values, want 3", len(v))
	}
	code, ok1 := v[0].(int64)
	text, ok2 := v[1].(string)
	n, ok3 := v[2].(int64)
	fence, err := strconv.ParseUint(text, 10, 64)
	if !ok1 || !ok2 || !ok3 || err != nil {
		return answer{}, errors.New("reply is not of numbers")
	}
	return answer{code, fence, n}, nil
}
