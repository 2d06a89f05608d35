package ratelimit

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Source says where a decision was made.
type Source uint8

const (
	// FromRedis is the shared, exact count.
	FromRedis Source = iota
	// FromEngine is the engine of [WithEngine].
	FromEngine
	// FromLocal is the count of this process, while Redis is unavailable.
	FromLocal
	// FromNowhere is no count at all: Redis is unavailable and the limiter is
	// [Open] or [Closed].
	FromNowhere
)

func (s Source) String() string {
	switch s {
	case FromRedis:
		return "redis"
	case FromEngine:
		return "engine"
	case FromLocal:
		return "local"
	}
	return "nowhere"
}

// Never is the RetryAfter of a cost above the burst: it cannot be admitted,
// however long one waits.
const Never time.Duration = -1

// Decision is the answer to one request.
type Decision struct {
	Allowed bool
	// Unavailable is a refusal for want of Redis, not of quota; see [Closed].
	Unavailable bool
	Policy      string
	Limit       redis_rate.Limit
	// Remaining is how many requests of cost 1 would be admitted now.
	Remaining int
	// RetryAfter is the wait until this cost is admitted if nobody else asks:
	// 0 when Allowed, [Never] when the cost is above the burst.
	RetryAfter time.Duration
	// ResetAfter is the time until the bucket is full again.
	ResetAfter time.Duration
	// NextAfter is the time until Remaining grows by one, 0 for a full bucket.
	NextAfter time.Duration
	Source    Source
}

type ctxKey struct{}

// FromContext returns the decision of the innermost [Limiter.Handler] that let
// the request pass.
func FromContext(ctx context.Context) (Decision, bool) {
	d, ok := ctx.Value(ctxKey{}).(Decision)
	return d, ok
}
