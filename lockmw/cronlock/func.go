package cronlock

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"
)

// Func returns what a scheduler calls when the schedule is due: it runs the
// tick, and logs an error, which no caller would see. A nil schedule is for
// jobs with [WithMinGap] alone. A schedule without a common phase, such as
// robfig's "@every 5m", has no ticks: without WithMinGap nine tenths of its
// interval are the least time between two starts.
//
// The schedule is read in the location of [WithLocation]; by default in the
// process's or, if there it is not due, in the one where it is due right now,
// with a warning. With robfig/cron prefer [Job.Entry], which knows the
// scheduler's location.
//
// A call for which there is no tick is a misfire: it is logged, reported to
// [Hooks].Skipped as "misfired", and shown by [Job.Status]. A schedule that cannot
// have any tick (a nil pointer, one that is never due, nil without WithMinGap) is logged at
// once, and each call is a misfire.
func (j *Job) Func(s Schedule) func() {
	t, err := j.timetable(s)
	if err == nil {
		return t.run
	}
	j.logger.LogAttrs(context.Background(), slog.LevelError, "the job will never run", slog.String("job", j.name), slog.String("error", err.Error()))
	return func() {
		j.skipped(context.Background(), misfired)
		j.misfire(context.Background(), err)
	}
}

// Entry is a schedule and the job that runs by it in one value, as robfig/cron
// takes them: c.Schedule(e, e). It is safe for concurrent use.
type Entry struct{ t *timetable }

// Entry returns the job with its schedule. Unlike [Job.Func] it reads the
// schedule in the location of the times that the scheduler passes to Next
// (robfig's WithLocation), unless there is a [WithLocation]. The error is an
// [*OptionError] if the schedule is nil or never due. Use it with robfig/cron.
func (j *Job) Entry(s Schedule) (*Entry, error) {
	if s == nil {
		return nil, &OptionError{Package: "cronlock", Option: "schedule", Reason: "is nil"}
	}
	t, err := j.timetable(s)
	if err != nil {
		return nil, err
	}
	return &Entry{t}, nil
}

// Next returns the next tick of the schedule, and records the location of
// after.
func (e *Entry) Next(after time.Time) time.Time {
	e.t.seen.Store(after.Location())
	return e.t.schedule.Next(after)
}

// Run runs the tick that is due, as [Job.Func] does.
func (e *Entry) Run() { e.t.run() }

// Wrap is [Job.Func] as a job wrapper of robfig/cron (JobWrapper), whose Job
// type is J: the wrapped job is what runs. Each job needs its own wrapper: name
// is the job's name. Use it for jobs that exist already. It is a function of
// the package because methods cannot have a type parameter.
//
//	once, err := cronlock.Wrap[cron.Job](runner, "nightly-report", schedule)
//
// The errors are [*OptionError]: those of [Runner.Job], a schedule that is
// never due, a nil schedule without [WithMinGap], and a J that is not an
// interface with the method Run alone, such as cron.FuncJob, which cannot be
// wrapped.
func Wrap[J interface{ Run() }](r *Runner, name string, s Schedule, opts ...Option) (func(J) J, error) {
	if r == nil {
		return nil, &OptionError{Package: "cronlock", Option: "runner", Reason: "is nil"}
	}
	if _, ok := any(runFunc(nil)).(J); !ok {
		return nil, &OptionError{Package: "cronlock", Option: "J", Reason: fmt.Sprintf("is %v, whose values cannot be wrapped: name the scheduler's interface, as in Wrap[cron.Job]", reflect.TypeFor[J]())}
	}
	made, err := r.newJob(name, func(context.Context) error { return nil }, opts)
	if err != nil {
		return nil, err
	}
	t, err := made.timetable(s)
	if err != nil {
		return nil, err
	}
	if err := r.register(made); err != nil {
		return nil, err
	}
	var wrapped atomic.Int32
	return func(inner J) J {
		if wrapped.Add(1) == 2 {
			t.job.logger.LogAttrs(context.Background(), slog.LevelError, "two jobs are wrapped by one wrapper: they have one name, and each tick runs one of them", slog.String("job", name))
		}
		own := *t.job
		own.fn = func(context.Context) error { inner.Run(); return nil }
		outer, _ := any(runFunc((&timetable{job: &own, schedule: t.schedule, ticks: t.ticks}).run)).(J)
		return outer
	}, nil
}

// runFunc is a job of robfig/cron.
type runFunc func()

func (f runFunc) Run() { f() }
