package cronlock_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redishttp/redishttp/lockmw/cronlock"
)

type every time.Duration

func (e every) Next(t time.Time) time.Time {
	return t.Truncate(time.Duration(e)).Add(time.Duration(e))
}

// daily is due at one time of day, in the location of the time that it is given, as
// robfig's schedules are.
type daily struct{ hour, minute int }

func (d daily) Next(t time.Time) time.Time {
	at := time.Date(t.Year(), t.Month(), t.Day(), d.hour, d.minute, 0, 0, t.Location())
	if !at.After(t) {
		at = time.Date(t.Year(), t.Month(), t.Day()+1, d.hour, d.minute, 0, 0, t.Location())
	}
	return at
}

// delay has no common phase, as robfig's ConstantDelaySchedule.
type delay time.Duration

func (d delay) Next(t time.Time) time.Time {
	return t.Add(time.Duration(d) - time.Duration(t.Nanosecond()))
}

type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// stuck breaks the contract: it is due when it is asked.
type stuck struct{}

func (stuck) Next(t time.Time) time.Time { return t }

// at are the seconds at which it is due.
type at []int64

func (a at) Next(t time.Time) time.Time {
	for _, s := range a {
		if u := time.Unix(s, 0); u.After(t) {
			return u
		}
	}
	return time.Time{}
}

func TestTicks(t *testing.T) {
	clock := func(s string) time.Time {
		v, err := time.Parse(time.TimeOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		every     time.Duration
		now, want string
	}{
		{5 * time.Minute, "12:05:00", "12:05:00"},
		{5 * time.Minute, "12:04:59.9", "12:05:00"}, // fired too early
		{5 * time.Minute, "12:05:00.003", "12:05:00"},
		{5 * time.Minute, "12:09:00", "12:05:00"},
		{5 * time.Minute, "12:04:59", "12:00:00"},
		// A timer that is late gets its own tick.
		{time.Second, "12:00:00.6", "12:00:00"},
		{time.Second, "12:00:00.98", "12:00:00"},
		{time.Second, "12:00:00.995", "12:00:01"}, // too early by 5 ms
		{2 * time.Second, "12:00:01.6", "12:00:00"},
		{10 * time.Second, "12:00:09.6", "12:00:00"},
		{10 * time.Millisecond, "12:00:00.0096", "12:00:00"},
	} {
		if got := cronlock.Tick(every(tc.every), clock(tc.now), 10*time.Minute); !got.Equal(clock(tc.want)) {
			t.Errorf("every %v at %s: %s, want %s", tc.every, tc.now, got.Format("15:04:05.000"), tc.want)
		}
	}
	if got := cronlock.Tick(every(time.Hour), clock("12:30:00"), time.Minute); !got.IsZero() {
		t.Errorf("half an hour late: %v, want none", got)
	}
	if got := cronlock.Tick(every(time.Second), clock("12:30:00.5"), 8*24*time.Hour); !got.Equal(clock("12:30:00")) { // 691,200 ticks
		t.Errorf("with a long look back: %v", got)
	}
	for _, s := range []cronlock.Schedule{never{}, stuck{}} {
		if got := cronlock.Tick(s, clock("12:30:00"), time.Hour); !got.IsZero() {
			t.Errorf("%T: %v, want none", s, got)
		}
	}
}

// The search finds what walking through all ticks finds.
func TestTicksOfAnySchedule(t *testing.T) {
	for range 2000 {
		var s at
		second := int64(1_000_000)
		for range 1 + rand.IntN(40) {
			second += 2 + rand.Int64N(1+rand.Int64N(500))
			s = append(s, second)
		}
		now := time.Unix(s[0]-10+rand.Int64N(second-s[0]+600), 1e8)
		lookBack := time.Duration(1+rand.IntN(1000)) * time.Second
		var want time.Time
		for _, u := range s {
			if tick := time.Unix(u, 0); tick.After(now.Add(-lookBack)) && !tick.After(now) {
				want = tick
			}
		}
		if got := cronlock.Tick(s, now, lookBack); !got.Equal(want) {
			t.Fatalf("%v at %v, %v back: got %v, want %v", s, now, lookBack, got, want)
		}
	}
}
