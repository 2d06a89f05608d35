package ratelimit

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Source is where a decision was made.
type Source uint8

const (
	// FromRedis is the shared, exact count.
	FromRedis Source = iota
	// FromEngine is the engine of [WithEngine].
	FromEngine
	// FromLocal is the count of this process, while Redis is unavailable.
	FromLocal
	// FromNowhere is no count at all: Redis is unavailable and the failure mode
	// is [FailOpen] or [FailClosed], or there was no limit.
	FromNowhere
	// FromDenyCache is an earlier refusal of Redis that still holds.
	FromDenyCache
)

func (s Source) String() string {
	switch s {
	case FromRedis:
		return "redis"
	case FromEngine:
		return "engine"
	case FromLocal:
		return "local"
	case FromDenyCache:
		return "deny-cache"
	case FromNowhere:
	}
	return "nowhere"
}

// Never is the RetryAfter of a cost above the burst, which is never admitted.
const Never time.Duration = -1

// State is a client's standing with one policy.
type State struct {
	Policy string
	Limit  redis_rate.Limit
	// Remaining is how many requests of cost 1 would be admitted now.
	Remaining int
	// RetryAfter is the wait until this cost is admitted if no other request is:
	// 0 if this policy does not refuse, [Never] if the cost is above the burst.
	RetryAfter time.Duration
	// ResetAfter is the time until the bucket is full again.
	ResetAfter time.Duration
	// NextAfter is the time until Remaining grows by one, 0 for a full bucket.
	NextAfter time.Duration

	policy *policy
	debt   int64 // of a bucket, in its units
}

// Decision is what was decided about one request. Its State is that of the policy that
// is most restrictive: of those that refuse the one with the longest wait, else
// the one with the smallest part remaining.
type Decision struct {
	Allowed bool
	// Unavailable reports a refusal because Redis is unavailable, not because of
	// the limit; see [FailClosed].
	Unavailable bool
	State
	Source Source

	more     []State // of all policies, when there are several
	set      *policies
	admitted int           // of a batch
	wait     time.Duration // of the first of a batch that was not
}

// Policies are the states of all policies, in the order of configuration.
func (d Decision) Policies() []State {
	if d.more != nil {
		return d.more
	}
	return []State{d.State}
}

// NearLimit reports whether at least four fifths of the burst are used.
func (d Decision) NearLimit() bool {
	return d.Source != FromNowhere && d.Remaining*5 <= d.Limit.Burst
}

// FromContext returns the decision of the innermost [Limiter.Handler] that
// admitted the request, or that calls a deny handler.
func FromContext(ctx context.Context) (Decision, bool) {
	if a, ok := ctx.Value(ctxKey{}).(*admission); ok {
		return a.decision, true
	}
	return Decision{}, false
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

func stricter(a, b State) bool {
	switch {
	case a.RetryAfter == Never || b.RetryAfter == Never:
		return a.RetryAfter == Never && b.RetryAfter != Never
	case a.RetryAfter != b.RetryAfter:
		return a.RetryAfter > b.RetryAfter
	}
	return int64(a.Remaining)*int64(b.Limit.Burst) < int64(b.Remaining)*int64(a.Limit.Burst)
}
