package ratelimit

import (
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Limit is one policy: a bucket that drains, a sliding window, or a number of
// requests at a time. Make it with [PerSecond], [PerMinute], [PerHour], [Window]
// or [Concurrency], or of a redis_rate.Limit. The zero Limit is none.
//
//	ratelimit.PerSecond(10).WithBurst(20).Named("search")
type Limit struct {
	// Limit has the numbers: Rate per Period in the long run, and of a bucket
	// the Burst that is admitted at once. Period is at least 1ms, in whole
	// microseconds.
	redis_rate.Limit
	// Name is the policy's name in keys and headers. It matches
	// [A-Za-z0-9._:*/-]{1,64}. The default is derived from the numbers:
	// 100-per-60s. A fixed name keeps the counters when the numbers change.
	Name string

	kind kind
}

// Limits are the types of a limit that [New] takes.
type Limits interface{ Limit | redis_rate.Limit }

// limitOf converts what [New] was given.
func limitOf[L Limits](limit L) Limit {
	if own, ok := any(limit).(Limit); ok {
		return own
	}
	other, _ := any(limit).(redis_rate.Limit)
	return Limit{Limit: other}
}

// none reports whether l is the zero Limit.
func (l Limit) none() bool { return l.Limit == redis_rate.Limit{} && l.kind == bucket }

type kind byte

const (
	bucket      kind = iota // a bucket that drains: the generic cell rate algorithm
	window                  // a sliding window, counted in slots
	concurrency             // leases
)

const (
	windowSlots = 100
	lease       = 30 * time.Second
)

// PerSecond is a bucket: n requests at once, and n a second in the long run.
func PerSecond(n int) Limit { return Limit{Limit: redis_rate.PerSecond(n)} }

// PerMinute is a bucket: n requests at once, and n a minute in the long run.
func PerMinute(n int) Limit { return Limit{Limit: redis_rate.PerMinute(n)} }

// PerHour is a bucket: n requests at once, and n an hour in the long run.
func PerHour(n int) Limit { return Limit{Limit: redis_rate.PerHour(n)} }

// Named returns the limit with a name, see [Limit].
func (l Limit) Named(name string) Limit {
	l.Name = name
	return l
}

// WithBurst returns the bucket with a burst: n requests at once. The default is
// the rate.
func (l Limit) WithBurst(n int) Limit {
	l.Burst = n
	return l
}

// Window is a policy that admits at most n in every interval of that length. A
// bucket of the same numbers admits n at once and n more while it drains. Use it
// where the limit is a promise, such as 5,000 a day. It counts in hundredths of the
// period, so a request may wait up to one of them longer than it must, and it
// keeps up to 101 numbers for each client.
func Window(n int, period time.Duration) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: period}, kind: window}
}

// Concurrency is a policy that admits n requests at a time. A place is free
// again when the handler returns; the place of a process that died, after 30s. It
// applies in [Limiter.Handler] and [Limiter.Enter]. Use it for what is expensive
// while it runs, such as reports and uploads.
func Concurrency(n int) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: time.Second}, kind: concurrency}
}

// name is the policy's name. That of a limit without one is derived from its
// numbers, so that two limiters with different rates never share counters:
// 100-per-60s, 10-per-1s-burst-20, 100-in-60s, 5-at-once.
func (l Limit) name() string {
	if l.Name != "" {
		return l.Name
	}
	period := l.Period.String()
	if l.Period%time.Second == 0 {
		period = fmt.Sprintf("%ds", l.Period/time.Second)
	}
	switch l.kind {
	case window:
		return fmt.Sprintf("%d-in-%s", l.Rate, period)
	case concurrency:
		return fmt.Sprintf("%d-at-once", l.Rate)
	case bucket:
	}
	name := fmt.Sprintf("%d-per-%s", l.Rate, period)
	if l.Burst != l.Rate {
		name += fmt.Sprintf("-burst-%d", l.Burst)
	}
	return name
}
