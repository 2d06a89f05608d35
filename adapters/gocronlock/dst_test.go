package gocronlock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"
	"github.com/robfig/cron/v3"

	"github.com/redishttp/redishttp/adapters/gocronlock"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func midnight(t testing.TB, day string, loc *time.Location) time.Time {
	t.Helper()
	d, err := time.ParseInLocation(time.DateOnly, day, loc)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// robfigNights is what robfig/cron v3.0.1 does between midnight and five on days
// when clocks change. docs/cron.md says it in words.
var robfigNights = []struct{ zone, day, spec, want string }{
	// At 2:00 clocks go to 3:00: what is due between does not run.
	{"Europe/Berlin", "2027-03-28", "30 1 * * *", "01:30"},
	{"Europe/Berlin", "2027-03-28", "30 2 * * *", ""},
	{"Europe/Berlin", "2027-03-28", "0 3 * * *", "03:00"},
	{"Europe/Berlin", "2027-03-28", "0 * * * *", "00:00 01:00 03:00 04:00"},
	{"America/New_York", "2027-03-14", "0 2 * * *", ""},
	{"America/New_York", "2027-03-14", "0 3 * * *", "03:00"},
	// At 3:00 clocks go back to 2:00: what is due between runs twice.
	{"Europe/Berlin", "2027-10-31", "30 1 * * *", "01:30"},
	{"Europe/Berlin", "2027-10-31", "30 2 * * *", "02:30 02:30"},
	{"Europe/Berlin", "2027-10-31", "0 3 * * *", "03:00"},
	{"Europe/Berlin", "2027-10-31", "0 * * * *", "00:00 01:00 02:00 02:00 03:00 04:00"},
	{"America/New_York", "2027-11-07", "30 1 * * *", "01:30 01:30"},
	{"America/New_York", "2027-11-07", "0 2 * * *", "02:00"},
	// By half an hour, which robfig/cron does not expect.
	{"Australia/Lord_Howe", "2027-10-03", "30 1 * * *", "01:30 02:30"},
	{"Australia/Lord_Howe", "2027-10-03", "0 3 * * *", ""},
	{"Australia/Lord_Howe", "2027-04-04", "30 1 * * *", "01:30 01:30"},
	{"Australia/Lord_Howe", "2027-04-04", "0 3 * * *", ""},
	{"Australia/Lord_Howe", "2027-04-04", "*/30 * * * *", "00:00 00:30 01:00 01:30 01:30 02:00 02:30 03:00 03:30 04:00 04:30"},
	// No change.
	{"UTC", "2027-03-28", "30 2 * * *", "02:30"},
	{"Asia/Kolkata", "2027-03-28", "30 2 * * *", "02:30"},
	// A zone of the schedule's own.
	{"UTC", "2027-03-28", "CRON_TZ=Europe/Berlin 0 3 * * *", "01:00"},
	{"UTC", "2027-10-31", "CRON_TZ=Europe/Berlin 30 2 * * *", "00:30 01:30"},
}

func TestRobfigWhenClocksChange(t *testing.T) {
	for _, tc := range robfigNights {
		loc := zone(t, tc.zone)
		schedule, err := cron.ParseStandard(tc.spec)
		if err != nil {
			t.Fatal(err)
		}
		begin := midnight(t, tc.day, loc)
		var got []string
		for at := schedule.Next(begin.Add(-25 * time.Hour)); at.Before(begin.Add(49 * time.Hour)); at = schedule.Next(at) {
			if !at.Before(begin) && at.In(loc).Hour() < 5 && at.In(loc).Day() == begin.Day() {
				got = append(got, at.In(loc).Format("15:04"))
			}
			// Whatever robfig has fired is found again, by a timer that is
			// punctual and by one that is not.
			for _, late := range []time.Duration{0, 3 * time.Millisecond, 600 * time.Millisecond, 5 * time.Minute, -200 * time.Millisecond} {
				if late < 0 && !schedule.Next(at.Add(late)).Equal(at) {
					continue // robfig would not find it either, on Lord Howe Island
				}
				if tick := cronlock.Tick(schedule, at.Add(late), 10*time.Minute); !tick.Equal(at) {
					t.Errorf("%s %s %q: at %v, %v late, the tick is %v", tc.zone, tc.day, tc.spec, at, late, tick)
				}
			}
		}
		if night := strings.Join(got, " "); night != tc.want {
			t.Errorf("%s %s %q runs at %q, want %q", tc.zone, tc.day, tc.spec, night, tc.want)
		}
	}
}

// What robfig fires while clocks change runs once on three instances in UTC, on a
// Redis whose clock is moved to that day.
func TestOnceWhenClocksChange(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithClock())
	rdb := server.Client(t)
	for i, tc := range robfigNights {
		loc := zone(t, tc.zone)
		schedule, err := cron.ParseStandard(tc.spec)
		if err != nil {
			t.Fatal(err)
		}
		begin := midnight(t, tc.day, loc)
		var now, tick time.Time
		ran := 0
		var entries []*cronlock.Entry
		for range 3 {
			r, err := cronlock.New(rdb, cronlock.WithName(fmt.Sprint("n", i)), cronlock.WithClock(func() time.Time { return now.UTC() }))
			if err != nil {
				t.Fatal(err)
			}
			redistest.CloseAfter(t, patience, r)
			j, err := r.Job("job", func(ctx context.Context) error {
				run, _ := cronlock.FromContext(ctx)
				ran, tick = ran+1, run.Tick
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			now = begin
			e, err := j.Entry(schedule)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		at := begin.Add(-time.Minute)
		for {
			next := at
			for _, e := range entries { // each scheduler asks
				next = e.Next(at)
			}
			if at = next; !at.Before(begin.Add(6 * time.Hour)) {
				break
			}
			ran = 0
			for skew, e := range entries { // and fires, on its clock
				server.SetClock(t, time.Until(at))
				now = at.Add(time.Duration(skew) * 300 * time.Millisecond)
				e.Run()
			}
			if ran != 1 || !tick.Equal(at) {
				t.Errorf("%s %q at %v: %d runs, the last of tick %v", tc.zone, tc.spec, at, ran, tick)
			}
		}
	}
}

// gocronNights is the same for gocron v2.21.2.
var gocronNights = []struct {
	zone, day    string
	hour, minute uint
	cron, daily  string
}{
	{"Europe/Berlin", "2027-03-28", 2, 30, "", "03:30"},
	{"America/New_York", "2027-03-14", 2, 30, "", "01:30"},
	{"Europe/Berlin", "2027-03-28", 3, 0, "03:00", "03:00"},
	{"Europe/Berlin", "2027-10-31", 2, 30, "02:30", "02:30"},
	{"America/New_York", "2027-11-07", 1, 30, "01:30", "01:30"},
	{"Australia/Lord_Howe", "2027-10-03", 3, 0, "", "03:00"},
	{"Australia/Lord_Howe", "2027-04-04", 1, 30, "01:30", "01:30"},
	{"Asia/Kolkata", "2027-03-28", 2, 30, "02:30", "02:30"},
	{"UTC", "2027-03-28", 2, 30, "02:30", "02:30"},
}

// planned are the next runs of a gocron job after a time, by gocron itself.
func planned(t *testing.T, from time.Time, loc *time.Location, def gocron.JobDefinition) []time.Time {
	t.Helper()
	s, err := gocron.NewScheduler(gocron.WithLocation(loc), gocron.WithClock(clockwork.NewFakeClockAt(from)))
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.NewJob(def, gocron.NewTask(func() {}))
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	runs, err := j.NextRuns(5)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestGocronWhenClocksChange(t *testing.T) {
	for _, tc := range gocronNights {
		loc := zone(t, tc.zone)
		begin := midnight(t, tc.day, loc)
		for kind, def := range map[string]gocron.JobDefinition{
			tc.cron + " as cron":   gocron.CronJob(fmt.Sprintf("%d %d * * *", tc.minute, tc.hour), false),
			tc.daily + " as daily": gocron.DailyJob(1, gocron.NewAtTimes(gocron.NewAtTime(tc.hour, tc.minute, 0))),
		} {
			var got []string
			runs := planned(t, begin.Add(-36*time.Hour), loc, def)
			for i, at := range runs {
				if at.In(loc).Day() == begin.Day() {
					got = append(got, at.In(loc).Format("15:04"))
				}
				if i > 0 && at.Sub(runs[i-1]) < 22*time.Hour { // the gap of docs/cron.md is below that
					t.Errorf("%s %s %s: two runs within %v", tc.zone, tc.day, kind, at.Sub(runs[i-1]))
				}
			}
			if want, _, _ := strings.Cut(kind, " as "); strings.Join(got, " ") != want {
				t.Errorf("%s %s %d:%02d %s: planned at %v", tc.zone, tc.day, tc.hour, tc.minute, kind, got)
			}
		}
	}
}

// gocron's cron job of every hour leaves out the hour that comes twice, which
// robfig/cron itself does not.
func TestGocronEachHourWhenClocksChange(t *testing.T) {
	loc := zone(t, "Europe/Berlin")
	for spec, want := range map[string]string{"0 * * * *": "01:00 02:00 03:00 04:00 05:00", "*/30 * * * *": "01:00 01:30 02:00 02:30 02:00"} {
		var got []string
		for _, at := range planned(t, midnight(t, "2027-10-31", loc).Add(50*time.Minute), loc, gocron.CronJob(spec, false)) {
			got = append(got, at.In(loc).Format("15:04"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is planned at %v, want %v", spec, got, want)
		}
	}
}

// A daily job is due after 23 hours once a year. Its gap must be shorter than
// that, with what a timer may be early: 23 hours would skip a day, 22 do not.
func TestTheGapOfADailyJob(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithClock())
	loc := zone(t, "Europe/Berlin")
	runs := planned(t, midnight(t, "2027-03-26", loc), loc, gocron.DailyJob(1, gocron.NewAtTimes(gocron.NewAtTime(4, 0, 0))))
	for gap, want := range map[time.Duration]int{22 * time.Hour: 0, 23 * time.Hour: 1} {
		r, err := cronlock.New(server.Client(t), cronlock.WithName(fmt.Sprint(gap.Hours())))
		if err != nil {
			t.Fatal(err)
		}
		redistest.CloseAfter(t, patience, r)
		locker, err := gocronlock.New(r, gap)
		if err != nil {
			t.Fatal(err)
		}
		skipped := 0
		for i, at := range runs {
			server.SetClock(t, time.Until(at)-time.Duration(i)*50*time.Millisecond) // each a little earlier, by Redis' clock
			k, err := locker.Lock(t.Context(), "daily")
			switch {
			case errors.Is(err, gocronlock.ErrSkipped):
				skipped++
			case err != nil:
				t.Error(err)
			default:
				if err := k.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		if skipped != want {
			t.Errorf("a gap of %v: %d days are skipped, want %d", gap, skipped, want)
		}
	}
}
