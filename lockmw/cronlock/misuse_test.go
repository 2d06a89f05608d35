package cronlock_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// log is what a logger writes, for use by many goroutines.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) option() cronlock.Option {
	return cronlock.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

func wantMistake(t *testing.T, what, option string, err error) {
	t.Helper()
	mistake, ok := errors.AsType[*cronlock.OptionError](err)
	if !ok || mistake.Option != option {
		t.Errorf("%s: got %v, want a mistake in %s", what, err, option)
	}
}

// cronJob is robfig's.
type cronJob interface{ Run() }

// FuncJob is robfig's.
type FuncJob func()

func (f FuncJob) Run() { f() }

type namedJob interface {
	Run()
	Name() string
}

// What would run on every instance, or on none, is a mistake that is reported
// before the first tick where there is an error to return.
func TestMisuse(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	r := runner(t, rdb)
	nop := func(context.Context) error { return nil }
	var nilSchedule *at
	minute := every(time.Minute)

	first, err := r.Job("first", nop)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Job("first", nop, cronlock.WithMinGap(time.Minute))
	wantMistake(t, "a second job of a name", "name", err)
	_, err = cronlock.Wrap[cronJob](r, "first", minute)
	wantMistake(t, "a wrapped job of a name that is taken", "name", err)
	if _, err := r.Job("first", nop, cronlock.WithName("other")); err != nil {
		t.Errorf("the name of another application: %v", err)
	}
	if _, err := runner(t, rdb).Job("first", nop); err != nil {
		t.Errorf("the same job of another instance: %v", err)
	}

	_, err = cronlock.Wrap[FuncJob](r, "w", minute)
	wantMistake(t, "a concrete type", "J", err)
	_, err = cronlock.Wrap[*pointerJob](r, "w", minute)
	wantMistake(t, "a pointer type", "J", err)
	_, err = cronlock.Wrap[namedJob](r, "w", minute)
	wantMistake(t, "an interface with more methods", "J", err)
	_, err = cronlock.Wrap[cronJob](nil, "w", minute)
	wantMistake(t, "no runner", "runner", err)
	for what, s := range map[string]cronlock.Schedule{
		"nil": nil, "a nil pointer": nilSchedule, "a nil func": nextFunc(nil), "never": never{},
		"the past": nextFunc(func(time.Time) time.Time { return time.Unix(1, 0) }), "now": nextFunc(func(now time.Time) time.Time { return now }),
	} {
		_, err = cronlock.Wrap[cronJob](r, "w", s)
		wantMistake(t, "Wrap with "+what, "schedule", err)
		_, err = first.Entry(s)
		wantMistake(t, "Entry with "+what, "schedule", err)
	}
	_, err = cronlock.Wrap[cronJob](r, "w", delay(10*24*time.Hour))
	wantMistake(t, "an interval above the retention", "schedule", err)
	if _, err := cronlock.Wrap[cronJob](r, "w", nil, cronlock.WithMinGap(time.Minute)); err != nil { // none of the mistakes took the name
		t.Errorf("with a gap: %v", err)
	}

	_, err = first.Run(t.Context(), time.Time{})
	wantMistake(t, "no tick and no gap", "tick", err)
	_, err = first.Run(t.Context(), time.Unix(0, 0))
	wantMistake(t, "a tick that looks like none", "tick", err)
}

type pointerJob struct{}

func (*pointerJob) Run() {}

type nextFunc func(time.Time) time.Time

func (f nextFunc) Next(after time.Time) time.Time { return f(after) }

// Func cannot return an error: what is wrong is logged at once, and each call
// is a misfire.
func TestFuncsThatNeverRun(t *testing.T) {
	var nilSchedule *at
	for what, s := range map[string]cronlock.Schedule{
		"nil": nil, "a nil pointer": nilSchedule, "a nil func": nextFunc(nil), "never": never{},
		"the past": nextFunc(func(time.Time) time.Time { return time.Unix(1, 0) }), "now": nextFunc(func(now time.Time) time.Time { return now }),
	} {
		var out log
		var skipped []cronlock.Outcome
		j := job(t, runner(t, redistest.Standalone(t).Client(t), out.option(), cronlock.WithHooks(cronlock.Hooks{
			Skipped: func(_ context.Context, _ string, o cronlock.Outcome) { skipped = append(skipped, o) },
		})), func(context.Context) error { t.Errorf("%s: ran", what); return nil })
		f := j.Func(s)
		if !strings.Contains(out.String(), "level=ERROR") || !strings.Contains(out.String(), "cronlock: schedule: ") {
			t.Errorf("%s: at the start it logs %q", what, out.String())
		}
		f()
		if strings.Count(out.String(), "level=ERROR") != 2 || len(skipped) != 1 || skipped[0] != "misfired" {
			t.Errorf("%s: skipped %v, log\n%s", what, skipped, out.String())
		}
		if s, err := j.Status(t.Context()); err != nil || s.Misfired.IsZero() || !strings.Contains(s.Misfire, "schedule: ") || s.Running || !s.Tick.IsZero() {
			t.Errorf("%s: status %+v, %v", what, s, err)
		}
	}
}

// One tick of a wrapped job runs on one of three runners, however the job came
// by its name.
func TestWrap(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var ran atomic.Int64
	now := time.Now()
	for range 3 {
		wrap, err := cronlock.Wrap[cronJob](runner(t, rdb, cronlock.WithKeyPrefix(prefix), cronlock.WithClock(func() time.Time { return now })), "report", every(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		wrap(FuncJob(func() { ran.Add(1) })).Run()
	}
	if ran.Load() != 1 {
		t.Errorf("ran %d times", ran.Load())
	}
	var out log
	wrap, err := cronlock.Wrap[cronJob](runner(t, rdb, cronlock.WithKeyPrefix(prefix), out.option()), "report", every(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	wrap(FuncJob(func() {}))
	if out.String() != "" {
		t.Errorf("logged %s", out.String())
	}
	wrap(FuncJob(func() {})) // cron.WithChain(wrap) would do it
	if !strings.Contains(out.String(), "level=ERROR") {
		t.Errorf("of two jobs under one name the log says %q", out.String())
	}
}

// An interval that begins when each instance is started has no ticks in common:
// the interval itself bounds the time between two starts.
func TestSchedulesWithoutPhase(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var ran atomic.Int64
	count := func(context.Context) error { ran.Add(1); return nil }
	for i := range 3 {
		now := time.Now().Add(time.Duration(i) * 17 * time.Second) // of this instance
		clock := cronlock.WithClock(func() time.Time { return now })
		job(t, runner(t, rdb, cronlock.WithKeyPrefix(prefix), clock), count).Func(delay(time.Minute))()
	}
	if ran.Load() != 1 {
		t.Errorf("it ran %d times within one interval", ran.Load())
	}
	ran.Store(0)
	for i := range 3 { // every second of the clock is common to all
		now := time.Unix(time.Now().Unix()-1, int64(i)*1e8)
		clock := cronlock.WithClock(func() time.Time { return now })
		job(t, runner(t, rdb, cronlock.WithKeyPrefix(prefix), cronlock.WithName("second"), clock), count).Func(delay(time.Second))()
	}
	if ran.Load() != 1 {
		t.Errorf("one second ran %d times", ran.Load())
	}
}

// A job at intervals that takes longer than its gap: who watches for the holder's
// death does not begin after its ordinary end.
func TestWatchersOfAnInterval(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	opts := []cronlock.Option{cronlock.WithKeyPrefix(prefix), cronlock.WithMinGap(time.Millisecond), cronlock.WithTakeover(true), cronlock.WithTTL(time.Second), cronlock.WithTimeout(400 * time.Millisecond)}
	begun, leave := make(chan struct{}), make(chan struct{})
	busy := job(t, runner(t, rdb, opts...), func(context.Context) error { close(begun); <-leave; return nil })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = busy.Run(context.Background(), time.Time{}) })
	<-begun
	watcher := runner(t, rdb, opts...)
	count := redistest.Count(rdb)
	watch := job(t, watcher, func(context.Context) error { t.Error("ran"); return nil })
	wg.Go(func() {
		if o, err := watch.Run(context.Background(), time.Time{}); o != "already" || err != nil {
			t.Errorf("got %s, %v", o, err)
		}
	})
	redistest.Eventually(t, patience, func() bool { return count.Trips() > 0 }, "it does not ask")
	close(leave)
	wg.Wait()
}

func TestOptionsOutOfRange(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, tc := range []struct {
		option string
		opt    cronlock.Option
	}{
		{"WithLocation", cronlock.WithLocation(nil)},
		{"WithMinGap", cronlock.WithMinGap(-time.Second)},
		{"WithMinGap", cronlock.WithMinGap(time.Microsecond)}, // Redis is told milliseconds
		{"WithMinGap", cronlock.WithMinGap(9 * 24 * time.Hour)},
		{"WithMaxAhead", cronlock.WithMaxAhead(-1)},
		{"WithMaxLate", cronlock.WithMaxLate(time.Microsecond)},
		{"WithMaxRun", cronlock.WithMaxRun(-1)},
		{"WithRetention", cronlock.WithRetention(11 * time.Minute)},
		{"WithRetention", cronlock.WithRetention(-1)},
		{"WithTimeout", cronlock.WithTimeout(time.Microsecond)},
		{"WithTimeout", cronlock.WithTimeout(15 * time.Second)},
		{"WithTTL", cronlock.WithTTL(2 * time.Hour)},
		{"WithKeyPrefix", cronlock.WithKeyPrefix("{")},
		{"WithLogger", cronlock.WithLogger(nil)},
	} {
		if _, err := cronlock.New(rdb, tc.opt); err == nil || !strings.Contains(err.Error(), "cronlock: "+tc.option+": ") {
			t.Errorf("%s is not reported by New: %v", tc.option, err)
		}
		if _, err := runner(t, rdb).Job("job", func(context.Context) error { return nil }, tc.opt); err == nil || !strings.Contains(err.Error(), "cronlock: "+tc.option+": ") {
			t.Errorf("%s is not reported by Job: %v", tc.option, err)
		}
	}
}
