package cronlock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// The test binary is also an instance in a process of its own, see [child].
func TestMain(m *testing.M) {
	if addr := os.Getenv("CRONLOCK_TEST_ADDR"); addr != "" {
		instance(addr)
		return
	}
	redistest.Main(m)
}

const patience = 30 * time.Second

func runner(t testing.TB, rdb cronlock.Client, opts ...cronlock.Option) *cronlock.Runner {
	t.Helper()
	r, err := cronlock.New(rdb, append([]cronlock.Option{cronlock.WithKeyPrefix(redistest.Prefix(t)), cronlock.WithTimeout(5 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, r)
	return r
}

func job(t testing.TB, r *cronlock.Runner, fn func(context.Context) error, opts ...cronlock.Option) *cronlock.Job {
	t.Helper()
	j, err := r.Job("job", fn, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// instance is what a process of its own does: it runs the ticks that it is
// told, with a clock that is wrong by so much, and increments two counters of
// the tick: when a run begins, and when it ends.
func instance(addr string) {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	prefix := os.Getenv("CRONLOCK_TEST_PREFIX")
	number := func(name string) int64 { n, _ := strconv.ParseInt(os.Getenv(name), 10, 64); return n }
	ms := func(name string) time.Duration { return time.Duration(number(name)) * time.Millisecond }
	opts := []cronlock.Option{cronlock.WithKeyPrefix(prefix), cronlock.WithMaxAhead(ms("CRONLOCK_TEST_AHEAD")), cronlock.WithTakeover(os.Getenv("CRONLOCK_TEST_TAKEOVER") != "")}
	if ttl := ms("CRONLOCK_TEST_TTL"); ttl > 0 {
		opts = append(opts, cronlock.WithTTL(ttl), cronlock.WithTimeout(ttl/3))
	}
	r, err := cronlock.New(rdb, opts...)
	if err != nil {
		die(err)
	}
	hang := os.Getenv("CRONLOCK_TEST_HANG") // at this tick
	begin, period, ticks, skew := number("CRONLOCK_TEST_BEGIN"), number("CRONLOCK_TEST_PERIOD"), number("CRONLOCK_TEST_TICKS"), ms("CRONLOCK_TEST_SKEW")
	ctx := context.Background()
	var wg sync.WaitGroup
	j, err := r.Job("job", func(ctx context.Context) error {
		run, _ := cronlock.FromContext(ctx)
		n := strconv.FormatInt((run.Tick.UnixMilli()-begin)/period, 10)
		defer rdb.Decr(context.Background(), prefix+"now")
		if now := rdb.Incr(ctx, prefix+"now").Val(); now > 1 {
			rdb.Incr(ctx, prefix+"overlaps")
		}
		rdb.HIncrBy(ctx, prefix+"begun", n, 1)
		if hang == n {
			rdb.Decr(ctx, prefix+"now") // it will not come to that
			rdb.Set(ctx, prefix+"hangs", os.Getpid(), 0)
			select {}
		}
		<-time.After(time.Duration(rand.IntN(4)) * time.Millisecond) // the job's work
		rdb.HIncrBy(ctx, prefix+"ended", n, 1)
		return nil
	})
	if err != nil {
		die(err)
	}
	for n := range ticks {
		tick := time.UnixMilli(begin + n*period)
		<-time.After(time.Until(tick.Add(-skew))) // what a wrong clock makes of it
		wg.Go(func() {
			if _, err := j.Run(ctx, tick); err != nil {
				die(err)
			}
		})
	}
	wg.Wait()
}

// die ends a child. It does not panic: that would pass for one of the test.
func die(err error) {
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// Ten processes with clocks between five "minutes" slow and five fast run a
// hundred ticks of a short job exactly a hundred times. A minute is 80 ms here;
// the proportions are those of the defaults.
func TestOncePerTickWhateverTheClocks(t *testing.T) {
	// Minutes of 400 ms: a machine that stands still for less loses no tick.
	minute, ticks := 400, 20
	if redistest.IsLong() { // on a quiet machine
		minute, ticks = 80, 100
	}
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	begin := time.Now().Add(2*time.Second).UnixMilli() / int64(minute) * int64(minute)
	var all []*exec.Cmd
	for i := range 10 {
		skew := (i - 5) * minute // ms; five is the most
		if i == 9 {
			skew = 5 * minute
		}
		all = append(all, child(t, "CRONLOCK_TEST_ADDR="+server.Addr(), "CRONLOCK_TEST_PREFIX=p", fmt.Sprint("CRONLOCK_TEST_SKEW=", skew),
			fmt.Sprint("CRONLOCK_TEST_BEGIN=", begin), fmt.Sprint("CRONLOCK_TEST_PERIOD=", minute), fmt.Sprint("CRONLOCK_TEST_TICKS=", ticks), fmt.Sprint("CRONLOCK_TEST_AHEAD=", minute)))
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("an instance: %v", err)
		}
	}
	begun := rdb.HGetAll(t.Context(), "pbegun").Val()
	for n := range ticks {
		if got := begun[strconv.Itoa(n)]; got != "1" {
			t.Errorf("tick %d ran %q times", n, got)
		}
	}
	if n := rdb.Get(t.Context(), "poverlaps").Val(); n != "" {
		t.Errorf("%s runs at the same time as another", n)
	}
}

// A holder that is killed in the middle of a run: another instance runs the tick
// again, once, and never two at a time.
func TestTakeoverOfADeadHolder(t *testing.T) {
	const period, ticks = 100, 20
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	begin := time.Now().Add(time.Second).UnixMilli()
	env := func(extra ...string) []string {
		return append(extra, "CRONLOCK_TEST_ADDR="+server.Addr(), "CRONLOCK_TEST_PREFIX=p", "CRONLOCK_TEST_TAKEOVER=1", "CRONLOCK_TEST_TTL=1500", "CRONLOCK_TEST_AHEAD=60000",
			fmt.Sprint("CRONLOCK_TEST_BEGIN=", begin), fmt.Sprint("CRONLOCK_TEST_PERIOD=", period), fmt.Sprint("CRONLOCK_TEST_TICKS=", ticks))
	}
	victim := child(t, env("CRONLOCK_TEST_HANG=7", "CRONLOCK_TEST_SKEW=30")...) // a little ahead: it gets the ticks
	var others []*exec.Cmd
	for range 4 {
		others = append(others, child(t, env()...))
	}
	redistest.Eventually(t, patience, func() bool { return rdb.Get(t.Context(), "phangs").Val() != "" }, "the victim never got the tick at which it hangs")
	_ = victim.Process.Kill()
	for _, cmd := range others {
		if err := cmd.Wait(); err != nil {
			t.Errorf("an instance: %v", err)
		}
	}
	begun, ended := rdb.HGetAll(t.Context(), "pbegun").Val(), rdb.HGetAll(t.Context(), "pended").Val()
	for n := range ticks {
		want := "1"
		if n == 7 {
			want = "2" // and again, after the first died
		}
		if got := begun[strconv.Itoa(n)]; got != want {
			t.Errorf("tick %d was begun %q times, want %s", n, got, want)
		}
		if got := ended[strconv.Itoa(n)]; got != "1" {
			t.Errorf("tick %d was completed %q times", n, got)
		}
	}
	if n := rdb.Get(t.Context(), "poverlaps").Val(); n != "" {
		t.Errorf("%s runs at the same time as another", n)
	}
}

// What each instance is told, by the server's clock.
func TestDecisions(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		one, two := runner(t, rdb, cronlock.WithKeyPrefix(prefix)), runner(t, rdb, cronlock.WithKeyPrefix(prefix))
		now := time.Now()
		var fences []uint64
		record := func(ctx context.Context) error {
			r, ok := cronlock.FromContext(ctx)
			if !ok || r.Job != "job" || r.Attempt != 1 {
				t.Errorf("run %+v", r)
			}
			fences = append(fences, r.Fence)
			return nil
		}
		a, b := job(t, one, record), job(t, two, record)
		check := func(j *cronlock.Job, tick time.Time, want cronlock.Outcome) {
			t.Helper()
			if got, err := j.Run(t.Context(), tick); got != want || err != nil {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		}
		check(a, now.Add(-3*time.Minute), cronlock.Ran)
		check(b, now.Add(-3*time.Minute), "already")
		check(b, now.Add(-4*time.Minute), "already") // an earlier one
		check(b, now.Add(-time.Minute), cronlock.Ran)
		check(a, now.Add(-2*time.Minute), "already")
		check(a, now.Add(-time.Minute), "already")
		check(a, now.Add(30*time.Second), cronlock.Ran) // within MaxAhead
		late, err := one.Job("late", record)
		if err != nil {
			t.Fatal(err)
		}
		check(late, now.Add(-time.Hour), "too-late")
		if len(fences) != 3 || fences[0] >= fences[1] || fences[1] >= fences[2] {
			t.Errorf("fences %v", fences)
		}
		gap := job(t, runner(t, rdb, cronlock.WithKeyPrefix(prefix)), func(context.Context) error { return nil }, cronlock.WithMinGap(time.Hour))
		check(gap, time.Time{}, "too-soon")
		busy, release := make(chan bool), make(chan bool)
		long, err := one.Job("long", func(context.Context) error { close(busy); <-release; return errors.New("it went wrong") })
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := long.Run(t.Context(), now); got != cronlock.Ran || err == nil || err.Error() != "it went wrong" {
				t.Errorf("got %s, %v", got, err)
			}
		})
		<-busy
		other, err := two.Job("long", func(context.Context) error { t.Error("ran twice"); return nil })
		if err != nil {
			t.Fatal(err)
		}
		check(other, now, "running")
		check(other, now.Add(time.Second), "running") // the next tick, while it runs
		if s, err := other.Status(t.Context()); err != nil || !s.Running || s.Host == "" || s.Tick.UnixMilli() != now.UnixMilli() {
			t.Errorf("status %+v, %v", s, err)
		}
		close(release)
		wg.Wait()
		if s, err := other.Status(t.Context()); err != nil || s.Running || s.Err != "it went wrong" || s.Finished.IsZero() || s.Attempt != 1 {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}

// A tick ahead of the server's clock waits for it.
func TestAFastClockWaits(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	j := job(t, runner(t, rdb), func(context.Context) error { return nil }, cronlock.WithMaxAhead(0))
	start := time.Now()
	if got, err := j.Run(t.Context(), start.Add(300*time.Millisecond)); got != cronlock.Ran || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if took := time.Since(start); took < 295*time.Millisecond {
		t.Errorf("it ran after %v, before its time", took)
	}
}

// A job that is longer than its lease keeps it; one that loses it is told so
// before another can begin.
func TestLeases(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	opts := []cronlock.Option{cronlock.WithKeyPrefix(prefix), cronlock.WithTTL(300 * time.Millisecond), cronlock.WithTimeout(100 * time.Millisecond)}
	one, two := runner(t, rdb, opts...), runner(t, rdb, opts...)
	busy, release := make(chan bool, 2), make(chan bool)
	long := job(t, one, func(ctx context.Context) error {
		busy <- true
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	var wg sync.WaitGroup
	now := time.Now()
	wg.Go(func() {
		if got, err := long.Run(t.Context(), now); got != cronlock.Ran || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	})
	<-busy
	other := job(t, two, func(context.Context) error { t.Error("began while another ran"); return nil }, cronlock.WithTakeover(true))
	var watched atomic.Value
	wg.Go(func() {
		got, err := other.Run(t.Context(), now)
		watched.Store(fmt.Sprint(got, err))
	})
	<-time.After(time.Second) // three leases
	close(release)
	wg.Wait()
	if watched.Load() != "already<nil>" {
		t.Errorf("the watcher got %v", watched.Load())
	}
	release = make(chan bool)
	wg.Go(func() {
		if _, err := long.Run(t.Context(), now.Add(time.Second)); !errors.Is(err, lockmw.ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
	})
	<-busy
	rdb.FlushAll(t.Context()) // the state is gone
	wg.Wait()
}

func TestWithoutRedisAndAfterClose(t *testing.T) {
	server := redistest.NewServer(t)
	var failed atomic.Int64
	r := runner(t, server.Client(t), cronlock.WithTimeout(200*time.Millisecond), cronlock.WithHooks(cronlock.Hooks{Failed: func(context.Context, string, error) { failed.Add(1) }}))
	j := job(t, r, func(context.Context) error { t.Error("ran"); return nil })
	server.Kill()
	if got, err := j.Run(t.Context(), time.Now()); got != "failed" || !errors.Is(err, lockmw.ErrUnavailable) || failed.Load() == 0 {
		t.Errorf("without Redis: %s, %v, hook called %d times", got, err, failed.Load())
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := j.Run(t.Context(), time.Now()); got != "failed" || !errors.Is(err, lockmw.ErrClosed) {
		t.Errorf("after Close: %s, %v", got, err)
	}
	live := runner(t, redistest.Standalone(t).Client(t))
	begun, told := make(chan bool), make(chan error, 1)
	busy := job(t, live, func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		told <- context.Cause(ctx)
		return ctx.Err()
	})
	go busy.Run(context.Background(), time.Now())
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := live.Close(ctx); err == nil {
		t.Error("Close did not say that it cut a job short")
	}
	if err := <-told; !errors.Is(err, lockmw.ErrClosed) {
		t.Errorf("the job was told %v", err)
	}
}

// A reply that is lost leaves nothing that blocks the tick for others.
func TestALostReply(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	prefix := redistest.Prefix(t)
	through := redis.NewClient(&redis.Options{Addr: proxy.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = through.Close() })
	cut := job(t, runner(t, through, cronlock.WithKeyPrefix(prefix), cronlock.WithTimeout(100*time.Millisecond)), func(context.Context) error { t.Error("ran"); return nil })
	now := time.Now()
	whole := runner(t, server.Client(t), cronlock.WithKeyPrefix(prefix), cronlock.WithTTL(time.Second), cronlock.WithTimeout(100*time.Millisecond))
	warm, err := whole.Job("warm", func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := warm.Run(t.Context(), now); err != nil { // the server knows the script
		t.Fatal(err)
	}
	proxy.SwallowReplies()
	if got, err := cut.Run(t.Context(), now); got != "failed" || err == nil {
		t.Errorf("got %s, %v", got, err)
	}
	proxy.Heal()
	ran := job(t, whole, func(context.Context) error { return nil }, cronlock.WithTakeover(true))
	if got, err := ran.Run(t.Context(), now); got != cronlock.Ran || err != nil {
		t.Errorf("the tick is blocked: %s, %v", got, err)
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := cronlock.New(nil, cronlock.WithName("a b"), cronlock.WithTTL(time.Millisecond), cronlock.WithClock(nil))
	for _, option := range []string{"rdb", "WithName", "WithTTL", "WithTimeout", "WithClock"} {
		if err == nil || !strings.Contains(err.Error(), "cronlock: "+option+": ") {
			t.Errorf("%s is not reported: %v", option, err)
		}
	}
	r := runner(t, redistest.Standalone(t).Client(t))
	if _, err := r.Job("", nil, cronlock.WithMaxLate(-1)); err == nil || strings.Count(err.Error(), "cronlock: ") != 3 {
		t.Errorf("got %v, want three mistakes", err)
	}
}
