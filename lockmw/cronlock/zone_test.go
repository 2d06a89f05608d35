package cronlock_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham"}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// A scheduler has a time zone of its own and the process is in UTC. The job runs, whether the
// zone is told, seen, or must be guessed; a guess is logged.
func TestASchedulerInAnotherZone(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, name := range zones {
		loc := zone(t, name)
		due := time.Now().In(loc).Truncate(time.Minute)
		s := daily{due.Hour(), due.Minute()}
		for _, how := range []string{"told", "seen", "guessed"} {
			var out log
			var tick time.Time
			opts := []cronlock.Option{out.option(), cronlock.WithClock(func() time.Time { return due.Add(3 * time.Millisecond).UTC() })}
			if how == "told" {
				opts = append(opts, cronlock.WithLocation(loc))
			}
			j := job(t, runner(t, rdb, opts...), func(ctx context.Context) error {
				run, _ := cronlock.FromContext(ctx)
				tick = run.Tick
				return nil
			})
			run := j.Func(s)
			if how == "seen" {
				entry, err := j.Entry(s)
				if err != nil {
					t.Fatal(err)
				}
				if next := entry.Next(due.Add(-time.Minute)); !next.Equal(due) {
					t.Errorf("%s: next at %v, want %v", name, next, due)
				}
				run = entry.Run
			}
			run()
			if !tick.Equal(due) {
				t.Errorf("%s, %s: ran tick %v, want %v; log\n%s", name, how, tick, due, out.String())
			}
			_, offset := due.Zone()
			if warned := strings.Contains(out.String(), "level=WARN"); warned != (how == "guessed" && offset != 0) || strings.Contains(out.String(), "level=ERROR") {
				t.Errorf("%s, %s: log %q", name, how, out.String())
			}
			run() // nothing is logged again
			if n := strings.Count(out.String(), "\n"); n > 1 {
				t.Errorf("%s, %s: log %q", name, how, out.String())
			}
		}
	}
}

// A call for which there is no tick, in whatever zone, is told of.
func TestMisfires(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	due := time.Now().UTC().Truncate(time.Minute)
	s := daily{due.Hour(), due.Minute()}
	for what, tc := range map[string]struct {
		now     time.Time
		opt     cronlock.Option
		outcome cronlock.Outcome
	}{
		"another schedule":     {due.Add(20 * time.Minute), nil, "misfired"},
		"the wrong zone":       {due, cronlock.WithLocation(zone(t, "Asia/Kolkata")), "misfired"},
		"late by Redis' clock": {due.Add(-time.Hour), cronlock.WithMaxLate(time.Minute), "too-late"},
	} {
		var out log
		var skipped []cronlock.Outcome
		schedule := s
		if tc.outcome == "too-late" {
			schedule = daily{tc.now.Hour(), tc.now.Minute()}
		}
		j := job(t, runner(t, rdb, out.option(), tc.opt, cronlock.WithClock(func() time.Time { return tc.now }), cronlock.WithHooks(cronlock.Hooks{
			Skipped: func(_ context.Context, _ string, o cronlock.Outcome) { skipped = append(skipped, o) },
		})), func(context.Context) error { t.Errorf("%s: ran", what); return nil })
		j.Func(schedule)()
		if !strings.Contains(out.String(), "level=ERROR") || len(skipped) != 1 || skipped[0] != tc.outcome {
			t.Errorf("%s: skipped %v, log %q", what, skipped, out.String())
		}
		if s, err := j.Status(t.Context()); err != nil || time.Since(s.Misfired) > time.Minute || s.Misfire == "" {
			t.Errorf("%s: status %+v, %v", what, s, err)
		}
		if ttl := rdb.PTTL(t.Context(), j.Key()).Val(); ttl < 7*24*time.Hour {
			t.Errorf("%s: the status lives for %v", what, ttl)
		}
	}
}
