package ratelimit

import (
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Limit is one policy: a bucket that drains, a sliding window, or a number of
// requests at a time. Create it with [PerSecond], [PerMinute],
// [PerHour], [Window] or [Concurrency], or from a
// redis_rate.Limit. The zero Limit is none.
//
//	ratelimit.PerSecond(10).Named("search")
//	ratelimit.Limit{Limit: redis_rate.Limit{Rate: 10, Period: time.Second, Burst: 20}, Name: "search"}
type Limit struct {
	// Limit has the numbers: Rate per Period in the long run, and the Burst of a
	// bucket, which is admitted at once. Rate and Burst are at least 1; Period is at
	// least 1ms, in whole microseconds. [New] reports others as mistakes, and
	// also a Burst x Period that cannot be counted exactly, below 2^53.
	redis_rate.Limit
	// Name is the policy's name in Redis keys and headers. It matches
	// [A-Za-z0-9._:*/-]{1,64}. The default is derived from the numbers:
	// 100-per-60s. Set it so that the counters are kept when the numbers change.
	Name string

	kind kind
}

// limitOf converts the limit that [New] is called with.
func limitOf[L Limit | redis_rate.Limit](limit L) Limit {
	if own, ok := any(limit).(Limit); ok {
		return own
	}
	other, _ := any(limit).(redis_rate.Limit)
	return Limit{Limit: other}
}

// none reports whether l is the zero Limit.
func (l Limit) none() bool { return l.Limit == redis_rate.Limit{} && l.kind == bucket }

// kind is how a limit counts. The zero kind is that of a redis_rate.Limit.
type kind byte

const (
	bucket      kind = iota // a bucket that drains: the generic cell rate algorithm
	window                  // a sliding window, counted in slots
	concurrency             // leases
)

const (
	windowSlots = 100              // of a window: one more of them is stored, the one under way
	lease       = 30 * time.Second // after which the place of a process that died is free
)

// PerSecond returns a bucket: n requests at once, and n per second in the long run.
// A client that has been idle for a second may send up to 2n within the next one;
// where that is too many, use [Window]. Set Burst to admit another number at once:
//
//	search := ratelimit.PerSecond(10)
//	search.Burst = 20
func PerSecond(n int) Limit { return per(n, time.Second) }

// PerMinute returns a bucket of n requests per minute, see [PerSecond].
func PerMinute(n int) Limit { return per(n, time.Minute) }

// PerHour returns a bucket of n requests per hour, see [PerSecond].
func PerHour(n int) Limit { return per(n, time.Hour) }

func per(n int, period time.Duration) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: period}}
}

// Window returns a sliding window: at most n requests in every interval of that
// length. Use it where the limit is a promise, such as 5,000 a day. It counts in
// hundredths of the period, so a request may wait up to one of them longer than it
// must, and it stores up to 101 numbers for each client where a bucket stores one
// short string.
func Window(n int, period time.Duration) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: period}, kind: window}
}

// Concurrency returns a limit of n requests at a time. A request holds a place
// until its handler returns; the place of a process that died is free after 30s. It
// applies in [Limiter.Handler] and [Limiter.Enter]. Use it for requests that are
// expensive while they run, such as reports and uploads.
func Concurrency(n int) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: time.Second}, kind: concurrency}
}

// Named returns a copy of the limit with that name, see [Limit]. Use it to tell
// several limits apart in headers and in the decision.
func (l Limit) Named(name string) Limit {
	l.Name = name
	return l
}

// name returns the policy's name. That of a limit without one is derived from its
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
