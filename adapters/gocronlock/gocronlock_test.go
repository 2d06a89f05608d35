package gocronlock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/robfig/cron/v3"

	"github.com/redishttp/redishttp/adapters/gocronlock"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 30 * time.Second

func runners(t *testing.T, n int, opts ...cronlock.Option) []*cronlock.Runner {
	g, prefix := redistest.Standalone(t), redistest.Prefix(t)
	all := make([]*cronlock.Runner, n)
	for i := range all {
		r, err := cronlock.New(g.Client(t), append([]cronlock.Option{cronlock.WithKeyPrefix(prefix), cronlock.WithHost(fmt.Sprint(i))}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		redistest.CloseAfter(t, patience, r)
		all[i] = r
	}
	return all
}

// Four gocron schedulers with one job every 300 ms: it runs about as often as
// with one, never twice within the gap, never two at once.
func TestGocron(t *testing.T) {
	const every, gap = 300 * time.Millisecond, 250 * time.Millisecond
	var mu sync.Mutex
	var starts []time.Time
	var running, overlaps atomic.Int64
	for _, r := range runners(t, 4) {
		locker, err := gocronlock.New(r, gap)
		if err != nil {
			t.Fatal(err)
		}
		s, err := gocron.NewScheduler(gocron.WithDistributedLocker(locker))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.NewJob(gocron.DurationJob(every), gocron.NewTask(func() {
			if running.Add(1) > 1 {
				overlaps.Add(1)
			}
			defer running.Add(-1)
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
		}), gocron.WithName("report"))
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(starts)
	}
	redistest.Eventually(t, patience, func() bool { return count() >= 10 }, "the job hardly runs")
	mu.Lock()
	defer mu.Unlock()
	if overlaps.Load() > 0 {
		t.Errorf("%d runs at the same time as another", overlaps.Load())
	}
	for i := 1; i < len(starts); i++ {
		// The gap is by Redis' clock, from decision to decision; the task begins
		// a moment after.
		if d := starts[i].Sub(starts[i-1]); d < gap/2 {
			t.Errorf("started %v after the last", d)
		}
	}
}

func TestLocker(t *testing.T) {
	all := runners(t, 2)
	one, err := gocronlock.New(all[0], time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	two, err := gocronlock.New(all[1], time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	k, err := one.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Lock(t.Context(), "a"); !errors.Is(err, gocronlock.ErrSkipped) {
		t.Errorf("while it runs: %v", err)
	}
	if err := k.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := two.Lock(t.Context(), "a"); !errors.Is(err, gocronlock.ErrSkipped) {
		t.Errorf("within the gap: %v", err)
	}
	other, err := two.Lock(t.Context(), "b")
	if err != nil {
		t.Errorf("another job: %v", err)
	} else if err := other.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := gocronlock.New(nil, time.Second); err == nil {
		t.Error("no runner was taken")
	}
	if _, err := gocronlock.New(all[0], 0); err == nil {
		t.Error("no gap was taken")
	}
}

// robfig/cron needs no adapter: its schedules and job wrappers are taken as they
// are. Four instances, whose clocks differ, run each second once.
func TestRobfig(t *testing.T) {
	var mu sync.Mutex
	ticks := map[int64]int{}
	schedule, err := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse("* * * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range runners(t, 4) {
		skew := time.Duration(i) * 50 * time.Millisecond
		job, err := r.Job("report", func(ctx context.Context) error {
			run, _ := cronlock.FromContext(ctx)
			mu.Lock()
			defer mu.Unlock()
			ticks[run.Tick.Unix()]++
			return nil
		}, cronlock.WithClock(func() time.Time { return time.Now().Add(skew) }))
		if err != nil {
			t.Fatal(err)
		}
		c := cron.New()
		c.Schedule(schedule, cron.FuncJob(job.Func(schedule)))
		c.Start()
		t.Cleanup(func() { <-c.Stop().Done() })
	}
	redistest.Eventually(t, patience, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ticks) >= 5
	}, "the job hardly runs")
	mu.Lock()
	defer mu.Unlock()
	first, last := int64(0), int64(0)
	for tick, n := range ticks {
		if n != 1 {
			t.Errorf("tick %d ran %d times", tick, n)
		}
		if first == 0 || tick < first {
			first = tick
		}
		last = max(last, tick)
	}
	if int(last-first)+1 != len(ticks) {
		t.Errorf("%d ticks ran of %d", len(ticks), last-first+1)
	}
}

// Wrap is a robfig JobWrapper, for jobs that are there already.
func TestRobfigWrapper(t *testing.T) {
	schedule, err := cron.ParseStandard("* * * * *")
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Int64
	now := time.Now() // all at one time, or two of them are in the next minute
	for _, r := range runners(t, 3, cronlock.WithClock(func() time.Time { return now })) {
		wrap, err := cronlock.Wrap[cron.Job](r, "report", schedule)
		if err != nil {
			t.Fatal(err)
		}
		var wrapper cron.JobWrapper = wrap
		cron.NewChain(wrapper).Then(cron.FuncJob(func() { ran.Add(1) })).Run()
	}
	if n := ran.Load(); n != 1 {
		t.Errorf("ran %d times, want once", n)
	}
	if _, err := cronlock.Wrap[cron.Job](runners(t, 1)[0], "", schedule); err == nil {
		t.Error("a job without a name was taken")
	}
}
