package ratelimit

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// units is a bucket in the whole numbers of the scripts: one request owes token
// units, and a microsecond pays back drain of them. The generic cell rate
// algorithm is then: a debt that drains with time, and a request that is admitted
// if its own units still fit below the capacity. All of that arithmetic in Go is
// in this file, and in Lua in bucket_read.lua, bucket_admit.lua and bucket_write.lua.
type units struct {
	token, drain, burst int64
}

// exact bounds every number of the scripts: a Lua number is a double, in which
// integers are exact below 2^53.
const exact = 1 << 53

// never is the RetryAfter of a cost above the burst.
const never time.Duration = -1

// unitsOf checks a limit and converts it. The reason says what is wrong with it.
func unitsOf(l redis_rate.Limit) (u units, reason string) {
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

// shareOf returns the part of a limit that one instance allows on its own, at
// least one request.
func shareOf(l redis_rate.Limit, part float64) units {
	l.Rate = max(1, int(math.Ceil(float64(l.Rate)*part)))
	l.Burst = max(1, int(math.Ceil(float64(l.Burst)*part)))
	u, _ := unitsOf(l) // a smaller limit than one that was checked
	return u
}

// capacity returns the largest debt.
func (u units) capacity() int64 { return u.burst * u.token }

// drained returns what is left of a debt after a number of microseconds. A
// negative number, after a clock stepped back, pays nothing.
func (u units) drained(debt, micros int64) int64 {
	if micros <= 0 {
		return debt
	}
	hi, lo := bits.Mul64(uint64(micros), uint64(u.drain))
	if hi != 0 || lo > math.MaxInt64 || int64(lo) >= debt {
		return 0
	}
	return debt - int64(lo)
}

// duration returns how long a debt takes to drain, rounded up to a microsecond.
func (u units) duration(debt int64) time.Duration {
	micros := debt / u.drain
	if debt%u.drain != 0 {
		micros++
	}
	return time.Duration(micros) * time.Microsecond
}

// retryAfter returns the wait until a cost fits beside a debt: 0 if it does now,
// and never if it is above the burst.
func (u units) retryAfter(debt, cost int64) time.Duration {
	switch over := debt + min(cost, u.burst+1)*u.token - u.capacity(); {
	case cost <= 0 || over <= 0:
		return 0
	case cost > u.burst:
		return never
	default:
		return u.duration(over)
	}
}
