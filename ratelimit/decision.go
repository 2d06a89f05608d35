package ratelimit

import (
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// The values of [Decision].Source.
const (
	fromRedis     = "redis"
	fromEngine    = "engine"
	fromDenyCache = "deny-cache"
	fromLocal     = "local"
	fromNowhere   = "nowhere"
)

// State is what one policy says about a client after a decision.
type State struct {
	// Policy is the policy's name.
	Policy string
	// Limit has the policy's numbers. Rate and Burst of a [Concurrency] policy
	// are the number of places.
	Limit redis_rate.Limit
	// Remaining is how many requests of cost 1 would be admitted now.
	Remaining int
	// RetryAfter is the wait until this cost is admitted if no other request is.
	// It is 0 if this policy does not refuse, and negative if the cost is above the
	// burst: such a request is never admitted.
	RetryAfter time.Duration
	// ResetAfter is the time until the bucket is full again.
	ResetAfter time.Duration
	// NextAfter is the time until Remaining grows by one, 0 for a full bucket.
	NextAfter time.Duration

	policy *policy // of a bucket whose debt is known, else nil
	debt   int64   // of a bucket, in its units
}

// Decision is the outcome for one request. The State is that of the most
// restrictive policy: of those that refuse the one with the longest wait, else the
// one with the smallest part remaining.
type Decision struct {
	// Allowed reports whether the request is admitted. Its cost is then charged.
	Allowed bool
	// Unavailable reports that the request is refused because Redis is
	// unavailable, not because of the limit; see [FailClosed].
	Unavailable bool
	State
	// Source says where the decision was made: "redis", the shared count; "engine", that
	// of [WithEngine]; "deny-cache", an earlier refusal of Redis that still holds, see
	// [WithDenyCache]; "local", the count of this process while Redis is unavailable; or
	// "nowhere", no count at all, while Redis is unavailable and the failure mode is
	// [FailOpen] or [FailClosed]. Use it in metrics.
	Source string

	more     []State // of all policies, when there are several
	set      *policies
	admitted int           // of a batch
	wait     time.Duration // of the first of a batch that was not
}

// Policies returns the states of all policies in the order of configuration: New's
// limit first, then those of [WithLimits].
func (d Decision) Policies() []State {
	if d.more != nil {
		return d.more
	}
	return []State{d.State}
}

// nearLimit reports whether at least four fifths of the burst are used.
func (d Decision) nearLimit() bool {
	return d.Source != fromNowhere && d.Remaining*5 <= d.Limit.Burst
}

// withStates returns d with the states of all policies, and the most restrictive
// one as its own.
func (d Decision) withStates(states []State) Decision {
	worst := 0
	for i := 1; i < len(states); i++ {
		if stricter(states[i], states[worst]) {
			worst = i
		}
	}
	d.State = states[worst]
	if len(states) > 1 {
		d.more = states
	}
	return d
}

// stricter reports whether a is more restrictive than b. A cost that is never
// admitted is stricter than any wait.
func stricter(a, b State) bool {
	switch {
	case a.RetryAfter == never || b.RetryAfter == never:
		return a.RetryAfter == never && b.RetryAfter != never
	case a.RetryAfter != b.RetryAfter:
		return a.RetryAfter > b.RetryAfter
	}
	return int64(a.Remaining)*int64(b.Limit.Burst) < int64(b.Remaining)*int64(a.Limit.Burst)
}

// bucketState returns the state of a bucket with a debt. u is p.units, or this
// instance's share of them.
func bucketState(p *policy, u units, debt int64, retry time.Duration) State {
	remaining := (u.capacity() - debt) / u.token
	s := State{
		Policy: p.Name, Limit: p.Limit.Limit, Remaining: int(remaining), RetryAfter: retry,
		ResetAfter: u.duration(debt), policy: p, debt: debt,
	}
	if debt > 0 {
		s.NextAfter = u.duration(debt - (u.capacity() - (remaining+1)*u.token))
	}
	return s
}

// later returns the state after a time in which nothing was charged.
func (s State) later(elapsed time.Duration) State {
	if s.RetryAfter > 0 {
		s.RetryAfter = max(s.RetryAfter-elapsed, time.Microsecond)
	}
	if p := s.policy; p != nil {
		return bucketState(p, p.units, p.units.drained(s.debt, elapsed.Microseconds()), s.RetryAfter)
	}
	for _, t := range []*time.Duration{&s.ResetAfter, &s.NextAfter} {
		if *t > 0 {
			*t = max(*t-elapsed, time.Microsecond)
		}
	}
	return s
}
