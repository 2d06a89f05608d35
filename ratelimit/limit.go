package ratelimit

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Limit is one policy. Make it of a redis_rate.Limit, or with [Window] or
// [Concurrency].
//
//	ratelimit.Limit{Limit: redis_rate.PerSecond(10), Name: "burst"}
type Limit struct {
	redis_rate.Limit
	// Name stands in keys and headers. It matches [A-Za-z0-9._:*/-]{1,64}; ""
	// is derived from the limit: 100-per-60s.
	Name string

	kind kind
}

type kind byte

const (
	cellRate    kind = iota // a bucket that drains
	window                  // a sliding window, counted in slots
	concurrency             // leases
)

const (
	windowSlots = 100
	lease       = 30 * time.Second
)

// Window is a policy that admits at most n in every interval of that length,
// however the interval is laid; a bucket of the same numbers admits n at once
// and n more while it drains. It counts in hundredths of the period, so a
// request may wait up to one of them longer than it must, and keeps up to 101
// numbers for each client.
func Window(n int, period time.Duration) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: period}, kind: window}
}

// Concurrency is a policy that admits n requests at a time. A place is free
// again when the handler returns; that of a process that died, after 30 s. It is
// for [Limiter.Handler] and [Limiter.Enter].
func Concurrency(n int) Limit {
	return Limit{Limit: redis_rate.Limit{Rate: n, Burst: n, Period: time.Second}, kind: concurrency}
}

// units is a limit in the whole numbers of the script: one request owes token
// units, a microsecond pays drain of them back.
type units struct {
	token, drain, burst int64
}

// capacity is the debt of an empty bucket.
func (u units) capacity() int64 { return u.burst * u.token }

const exact = 1 << 53 // a Lua number is a double: integers are exact below

// unitsOf checks a limit and converts it.
func unitsOf(l redis_rate.Limit) (units, string) {
	switch {
	case l.Rate < 1:
		return units{}, fmt.Sprintf("rate %d is not above 0", l.Rate)
	case l.Burst < 1:
		return units{}, fmt.Sprintf("burst %d is not above 0", l.Burst)
	case l.Period < time.Millisecond:
		return units{}, fmt.Sprintf("period %v is below 1ms", l.Period)
	case l.Period%time.Microsecond != 0:
		return units{}, fmt.Sprintf("period %v is not a whole number of microseconds", l.Period)
	}
	rate, period := big.NewInt(int64(l.Rate)), big.NewInt(l.Period.Microseconds())
	g := new(big.Int).GCD(nil, nil, rate, period)
	token, drain := new(big.Int).Div(period, g), new(big.Int).Div(rate, g)
	capacity := new(big.Int).Mul(token, big.NewInt(int64(l.Burst)))
	if capacity.Cmp(big.NewInt(exact)) >= 0 || drain.Cmp(big.NewInt(exact)) >= 0 {
		return units{}, "burst x period is too large to be counted exactly"
	}
	return units{token: token.Int64(), drain: drain.Int64(), burst: int64(l.Burst)}, ""
}

// policy is a checked limit with all that does not change between requests.
type policy struct {
	Limit
	units units  // of the bucket; a window's is used without Redis only
	local units  // this instance's share of it
	args  [4]any // kind, a, b, c of decide.lua
	cell  [4]any // token, drain, capacity, token of cell.lua
	field string // of RateLimit-Policy
	item  string // of RateLimit, up to the value of r
	quota int
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._:*/-]{1,64}$`)

// compile checks a limit. share is the part of it that this instance allows on
// its own.
func compile(l Limit, share float64) (policy, string) {
	p := policy{Limit: l}
	u, reason := unitsOf(l.Limit)
	if reason != "" {
		return p, reason
	}
	if l.Name == "" {
		p.Name = nameOf(l)
	}
	if !validName.MatchString(p.Name) {
		return p, "name does not match [A-Za-z0-9._:*/-]{1,64}"
	}
	p.units = u
	mine := l.Limit
	mine.Rate = max(1, int(math.Ceil(float64(l.Rate)*share)))
	mine.Burst = max(1, int(math.Ceil(float64(l.Burst)*share)))
	p.local, _ = unitsOf(mine)
	text := func(n int64) any { return strconv.FormatInt(n, 10) }
	p.cell = [4]any{text(u.token), text(u.drain), text(u.capacity()), text(u.token)}
	switch l.kind {
	case cellRate:
		p.args = [4]any{"g", text(u.token), text(u.drain), text(u.burst)}
	case window:
		slot := l.Period.Microseconds() / windowSlots
		if slot*windowSlots != l.Period.Microseconds() {
			slot++ // longer, never shorter
		}
		p.args = [4]any{"w", text(int64(l.Rate)), text(slot), text(windowSlots)}
	case concurrency:
		p.args = [4]any{"c", text(int64(l.Rate)), text(lease.Microseconds()), text(0)}
	}
	p.describe()
	return p, ""
}

// nameOf derives a policy's name from its limit, so that two limiters with
// different rates never share counters: 100-per-60s, 10-per-1s-burst-20,
// 100-in-60s, 5-at-once.
func nameOf(l Limit) string {
	period := l.Period.String()
	if l.Period%time.Second == 0 {
		period = fmt.Sprintf("%ds", l.Period/time.Second)
	}
	switch l.kind {
	case window:
		return fmt.Sprintf("%d-in-%s", l.Rate, period)
	case concurrency:
		return fmt.Sprintf("%d-at-once", l.Rate)
	}
	name := fmt.Sprintf("%d-per-%s", l.Rate, period)
	if l.Burst != l.Rate {
		name += fmt.Sprintf("-burst-%d", l.Burst)
	}
	return name
}
