package cronlock

import "time"

// Schedule says when a job is due: Next returns the first time after another
// one, or the zero time if there is none. Those of robfig/cron have this
// method. It is called from several goroutines.
type Schedule interface {
	Next(after time.Time) time.Time
}

// slack is the most that a timer may fire too early, for instance because the
// clock was set back.
const slack = 500 * time.Millisecond

// Tick returns the time at which a schedule was due last at now, or zero if it
// was not due within lookBack. It reads the schedule in the location of now,
// unless the schedule has its own. [Job.Func] calls it; call it for [Job.Run]
// in a scheduler that does not say which tick its call is for.
//
// A time that is still ahead counts as well, if it is so close that the timer
// must have fired too early: by at most 500ms, and by at most a hundredth of
// the time since the tick before it. So a timer of an every-second schedule
// that fires late gets its own tick and not the following one.
func Tick(s Schedule, now time.Time, lookBack time.Duration) time.Time {
	last := latest(s, now, lookBack)
	next := s.Next(now)
	early := slack
	if !last.IsZero() {
		early = min(early, next.Sub(last)/100)
	}
	if next.After(now) && next.Sub(now) <= early {
		return next
	}
	return last
}

// latest returns the last time after now-lookBack and not after now at which s
// is due, or zero. The window grows from its end, and the last tick in it is
// found by bisection, so that the cost grows with neither lookBack nor the
// number of ticks.
func latest(s Schedule, now time.Time, lookBack time.Duration) time.Time {
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	for window := min(time.Second, lookBack); ; window = min(4*window, lookBack) {
		from := now.Add(-window)
		if tick := s.Next(from); due(tick) && tick.After(from) {
			return lastFrom(s, tick, now, due)
		}
		if window >= lookBack {
			return time.Time{}
		}
	}
}

// lastFrom returns the last tick that is due, when tick is one.
func lastFrom(s Schedule, tick, end time.Time, due func(time.Time) bool) time.Time {
	for {
		next := s.Next(tick)
		if !due(next) || !next.After(tick) {
			return tick
		}
		middle := next.Add(end.Sub(next) / 2)
		if after := s.Next(middle); due(after) && after.After(next) {
			tick = after
		} else {
			tick, end = next, middle
		}
	}
}

// phaseless returns the interval of a schedule whose ticks depend on when it is
// asked, as those of "@every 5m" do: on each instance they are others. It
// returns 0 for all other schedules: between two ticks their answer is the same.
func phaseless(s Schedule, now time.Time) time.Duration {
	now = now.Truncate(time.Second)
	next := s.Next(now)
	interval := next.Sub(now)
	if next.IsZero() || interval <= 0 {
		return 0
	}
	step := interval / 2
	if interval >= 2*time.Second {
		step = step.Truncate(time.Second)
	}
	if s.Next(now.Add(step)).Equal(next.Add(step)) {
		return interval
	}
	return 0
}
