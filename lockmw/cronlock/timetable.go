package cronlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/lockmw"
)

// timetable decides about a scheduler's calls of a job: the ticks of a schedule
// or, if it has none that instances have in common, the time between two
// starts.
type timetable struct {
	job      *Job // a copy if the schedule says what its gap is
	schedule Schedule
	ticks    bool

	seen     atomic.Pointer[time.Location] // that the scheduler asks with
	mistaken sync.Once
}

// timetable returns the timetable of the job for s. The error is an
// [*OptionError] if no call could ever be decided by it.
func (j *Job) timetable(s Schedule) (*timetable, error) {
	mistake := func(reason string) error {
		return &OptionError{Package: "cronlock", Option: "schedule", Reason: reason}
	}
	t := &timetable{job: j, schedule: s}
	switch {
	case s == nil && j.minGap == 0:
		return nil, mistake("is nil and there is no WithMinGap: nothing would tell a run from the next")
	case s == nil:
		return t, nil
	case bounded.IsNil(s):
		return nil, mistake(fmt.Sprintf("is a nil %T", s))
	}
	now := t.here(j.now())
	if !s.Next(now).After(now) { // zero, or a time that is over
		return nil, mistake("is never due")
	}
	interval := phaseless(s, now)
	if t.ticks = interval == 0; t.ticks || j.minGap > 0 {
		return t, nil
	}
	own := *j
	if own.minGap = interval / 10 * 9; own.minGap >= own.retention {
		return nil, mistake(fmt.Sprintf("has an interval of %v and no common phase: WithRetention must be longer", interval))
	}
	t.job = &own
	return t, nil
}

// run is what a scheduler calls.
func (t *timetable) run() {
	ctx, j := context.Background(), t.job
	var tick time.Time
	if t.ticks {
		var err error
		if tick, err = t.due(j.now()); err != nil {
			j.skipped(ctx, misfired)
			j.misfire(ctx, err)
			return
		}
	}
	outcome, err := j.Run(ctx, tick)
	switch {
	case errors.Is(err, lockmw.ErrClosed):
		j.logger.LogAttrs(ctx, slog.LevelWarn, "a tick was given up: the runner is closed", slog.String("job", j.name))
	case err != nil:
		j.logger.LogAttrs(ctx, slog.LevelError, "job failed", slog.String("job", j.name), slog.String("error", err.Error()))
	case outcome == tooLate:
		j.misfire(ctx, fmt.Errorf("cronlock: the tick of %s is later than %v", tick.Format(time.RFC3339), j.maxLate))
	}
}

// here converts now to the location that the schedule is read in.
func (t *timetable) here(now time.Time) time.Time {
	if t.job.location != nil {
		return now.In(t.job.location)
	}
	if seen := t.seen.Load(); seen != nil {
		return now.In(seen)
	}
	return now
}

// due returns the tick that a call at now is for.
func (t *timetable) due(now time.Time) (time.Time, error) {
	now = t.here(now)
	if tick := Tick(t.schedule, now, t.job.maxLate); !tick.IsZero() {
		return tick, nil
	}
	if t.job.location == nil && t.seen.Load() == nil {
		if tick := elsewhere(t.schedule, now); !tick.IsZero() {
			t.mistaken.Do(func() {
				t.job.logger.LogAttrs(context.Background(), slog.LevelWarn, "the scheduler is in another time zone than the process: set cronlock.WithLocation or use Job.Entry",
					slog.String("job", t.job.name), slog.String("process", now.Location().String()))
			})
			return tick, nil
		}
	}
	return time.Time{}, fmt.Errorf("cronlock: the schedule has no tick in %s within %v before %s", now.Location(), t.job.maxLate, now.Format(time.RFC3339))
}

// punctual is how late a tick may be that is found in another time zone.
const punctual = 2 * time.Second

// elsewhere returns the tick of a schedule that is due just now in any time
// zone, or zero. A scheduler that was given a location of its own, of which a
// plain function cannot know, is recognized by that. All offsets are multiples
// of a quarter of an hour, and whichever fits, the tick is the same moment.
func elsewhere(s Schedule, now time.Time) time.Time {
	var found time.Time
	for offset := -12 * time.Hour; offset <= 14*time.Hour; offset += 15 * time.Minute {
		if tick := Tick(s, now.In(time.FixedZone("", int(offset.Seconds()))), punctual); tick.After(found) {
			found = tick
		}
	}
	return found
}
