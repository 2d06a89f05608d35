package cronlock

import (
	"context"
	"log/slog"
	"time"
)

// Schedule says when a job is due. Those of robfig/cron have this method.
type Schedule interface {
	Next(after time.Time) time.Time
}

// slack is how much too early a timer may fire.
const slack = 500 * time.Millisecond

// maxSteps bounds the search for a tick.
const maxSteps = 100_000

// Tick is the latest time at or before now at which a schedule is due, zero if
// there was none within lookBack.
func Tick(s Schedule, now time.Time, lookBack time.Duration) time.Time {
	var tick time.Time
	limit := now.Add(slack)
	for at, n := s.Next(now.Add(-lookBack)), 0; !at.IsZero() && !at.After(limit) && n < maxSteps; at, n = s.Next(at), n+1 {
		tick = at
	}
	return tick
}

// Func returns what a scheduler calls when the schedule is due: it runs the
// tick, and logs an error, for nobody else would see it. A nil schedule is for
// jobs with [WithMinGap] alone.
func (j *Job) Func(s Schedule) func() {
	return func() {
		var tick time.Time
		if s != nil {
			if tick = Tick(s, j.now(), j.maxLate); tick.IsZero() {
				return
			}
		}
		if _, err := j.Run(context.Background(), tick); err != nil {
			j.logger.LogAttrs(context.Background(), slog.LevelError, "job failed", slog.String("job", j.name), slog.String("error", err.Error()))
		}
	}
}

// Wrap is Func as a job wrapper of robfig/cron (JobWrapper), whose Job type is J: the
// wrapped job is what runs, and this job's own function is not called.
func Wrap[J interface{ Run() }](r *Runner, name string, s Schedule, opts ...Option) (func(J) J, error) {
	made, err := r.Job(name, func(context.Context) error { return nil }, opts...)
	if err != nil {
		return nil, err
	}
	return func(inner J) J {
		job := *made
		job.fn = func(context.Context) error { inner.Run(); return nil }
		outer, ok := any(runFunc(job.Func(s))).(J)
		if !ok {
			return inner // J is not the interface; it cannot be wrapped
		}
		return outer
	}, nil
}

type runFunc func()

func (f runFunc) Run() { f() }
