package gocronlock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// Two jobs with intervals of their own on four instances that were started one
// after another: each keeps its gap.
func TestEachJobHasItsGap(t *testing.T) {
	var mu sync.Mutex
	starts := map[string][]time.Time{}
	intervals := map[string]time.Duration{"fast": 200 * time.Millisecond, "slow": 800 * time.Millisecond}
	begin := time.Now().Add(300 * time.Millisecond)
	for i, r := range runners(t, 4) {
		locker, err := gocronlock.New(r, 150*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := locker.WithGap(700 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		s, err := gocron.NewScheduler(gocron.WithDistributedLocker(locker))
		if err != nil {
			t.Fatal(err)
		}
		for name, every := range intervals {
			opts := []gocron.JobOption{gocron.WithName(name), gocron.WithStartAt(gocron.WithStartDateTime(begin.Add(time.Duration(i) * every / 4)))}
			if name == "slow" {
				opts = append(opts, gocron.WithDistributedJobLocker(slow))
			}
			if _, err := s.NewJob(gocron.DurationJob(every), gocron.NewTask(func() {
				mu.Lock()
				defer mu.Unlock()
				starts[name] = append(starts[name], time.Now())
			}), opts...); err != nil {
				t.Fatal(err)
			}
		}
		s.Start()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	redistest.Eventually(t, patience, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(starts["fast"]) >= 8 && len(starts["slow"]) >= 3
	}, "the jobs hardly run")
	mu.Lock()
	defer mu.Unlock()
	slow := starts["slow"]
	for i := 1; i < len(slow); i++ {
		if d := slow[i].Sub(slow[i-1]); d < intervals["slow"]/2 { // at a quarter the next instance is due
			t.Errorf("the slow job started %v after its last start", d)
		}
	}
}

// Two jobs of one name, and one job with two gaps, are told of.
func TestTwoJobsOfOneName(t *testing.T) {
	var out bytes.Buffer
	r := runners(t, 1)[0]
	locker, err := gocronlock.New(r, 150*time.Millisecond, gocronlock.WithLogger(slog.New(slog.NewTextHandler(&out, nil))))
	if err != nil {
		t.Fatal(err)
	}
	lock := func(l *gocronlock.Locker, ctx context.Context, name string) error {
		k, err := l.Lock(ctx, name)
		if err == nil {
			err = k.Unlock(ctx)
		}
		return err
	}
	first, end := context.WithCancel(t.Context())
	defer end()
	second, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ctx := range []context.Context{first, first, second, first} { // as gocron does, of two jobs
		if err := lock(locker, ctx, "a"); err != nil && !errors.Is(err, gocronlock.ErrSkipped) {
			t.Error(err)
		}
	}
	if strings.Count(out.String(), "level=ERROR") != 1 || !strings.Contains(out.String(), "job=a") {
		t.Errorf("two jobs of one name: log %q", out.String())
	}
	out.Reset()
	longer, err := locker.WithGap(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock(longer, first, "b"); err != nil {
		t.Error(err)
	}
	end()
	if err := lock(longer, second, "b"); !errors.Is(err, gocronlock.ErrSkipped) || out.String() != "" { // gocron updated the job
		t.Errorf("got %v, log %q", err, out.String())
	}
	if err := lock(locker, second, "b"); !errors.Is(err, gocronlock.ErrGap) || !strings.Contains(out.String(), "job=b") {
		t.Errorf("with two gaps: %v, log %q", err, out.String())
	}
	if _, err := r.Job("c", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := lock(locker, second, "c"); err == nil {
		t.Error("a job of the runner was taken for gocron's")
	}
	if _, err := locker.WithGap(-1); err == nil {
		t.Error("a gap below 0 was taken")
	}
	if _, err := gocronlock.New(r, time.Second, gocronlock.WithLogger(nil)); err == nil {
		t.Error("a nil logger was taken")
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

// tally counts the runs of each tick.
type tally struct {
	mu    sync.Mutex
	ticks map[int64]int
}

func (c *tally) ran(tick time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticks[tick.Unix()]++
}

// most returns how many ticks ran and how often the most frequent did.
func (c *tally) most() (ticks, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.ticks {
		most = max(most, n)
	}
	return len(c.ticks), most
}

// Schedulers with a time zone of their own, in a process that is in UTC: each
// second runs once, on one of two instances, in all ways to give robfig/cron a job.
func TestRobfigInAnotherZone(t *testing.T) {
	all := map[string]*tally{}
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"} {
		for _, how := range []string{"Entry", "Func", "Func WithLocation", "Wrap", "CRON_TZ"} {
			count := &tally{ticks: map[int64]int{}}
			all[name+" "+how] = count
			startRobfig(t, zone(t, name), how, count)
		}
	}
	for name, count := range all {
		redistest.Eventually(t, patience, func() bool { ticks, _ := count.most(); return ticks >= 3 }, "%s: the job hardly runs", name)
		if _, most := count.most(); most != 1 && !strings.HasSuffix(name, "Wrap") { // which does not know its tick
			t.Errorf("%s: a tick ran %d times", name, most)
		}
	}
}

// startRobfig starts two instances of a job that is due each second of this hour and
// the next in loc, and hardly in other zones.
func startRobfig(t *testing.T, loc *time.Location, how string, count *tally) {
	hour, in := time.Now().In(loc).Hour(), loc
	spec := fmt.Sprintf("* * %d,%d * * *", hour, (hour+1)%24)
	opts := []cronlock.Option{cronlock.WithClock(func() time.Time { return time.Now().UTC() })}
	switch how {
	case "CRON_TZ":
		spec, in = "CRON_TZ="+loc.String()+" "+spec, zone(t, "Pacific/Chatham")
	case "Func WithLocation":
		opts = append(opts, cronlock.WithLocation(loc))
	}
	schedule, err := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runners(t, 2, opts...) {
		c := cron.New(cron.WithLocation(in))
		if how == "Wrap" {
			once, err := cronlock.Wrap[cron.Job](r, "report", schedule)
			if err != nil {
				t.Fatal(err)
			}
			c.Schedule(schedule, once(cron.FuncJob(func() { count.ran(time.Now()) })))
		} else {
			job, err := r.Job("report", func(ctx context.Context) error {
				run, _ := cronlock.FromContext(ctx)
				count.ran(run.Tick)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			entry, err := job.Entry(schedule)
			if err != nil {
				t.Fatal(err)
			}
			if how == "Entry" {
				c.Schedule(entry, entry)
			} else {
				c.Schedule(schedule, cron.FuncJob(job.Func(schedule)))
			}
		}
		c.Start()
		t.Cleanup(func() { <-c.Stop().Done() })
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
