package ratelimit

import (
	"fmt"
	"math/big"
	"regexp"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

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

var validName = regexp.MustCompile(`^[A-Za-z0-9._:*/-]{1,64}$`)

// nameOf derives a policy's name from its limit, so that two limiters with
// different rates never share counters: 100-per-60s, 10-per-1s-burst-20.
func nameOf(l redis_rate.Limit) string {
	period := l.Period.String()
	if l.Period%time.Second == 0 {
		period = fmt.Sprintf("%ds", l.Period/time.Second)
	}
	name := fmt.Sprintf("%d-per-%s", l.Rate, period)
	if l.Burst != l.Rate {
		name += fmt.Sprintf("-burst-%d", l.Burst)
	}
	return name
}
