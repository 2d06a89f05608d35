package breaker

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// fairWait is how long Redis must have had for a timeout to be its failure: a
// caller with a deadline of a millisecond must not cut off all the others.
const fairWait = 20 * time.Millisecond

// Of tells the outcome of a call by its error and by how long it took. These
// are the rules of all packages:
//
//   - Whatever Redis says is an answer: WRONGTYPE, OOM, NOPERM, LOADING,
//     READONLY, CLUSTERDOWN. It concerns the request that gets it and no other.
//     Only a server that refuses the client (maxclients) is like none.
//   - No answer is a failure: a connection that is refused, reset or timed out,
//     no node, no master.
//   - The rest says nothing about Redis: a cancelled context, a deadline that
//     left Redis less than 20 ms, a full pool, a refusal by another breaker or
//     by [redis.Limiter], an argument that cannot be sent.
func Of(err error, took time.Duration) Outcome {
	if err == nil {
		return Answered
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrOpen), errors.Is(err, ErrShared): // of the connection, which sees more
		return NoVerdict
	case redis.HasErrorPrefix(err, "max number of clients"):
		return Failed
	case unavailable.Unreachable(err):
		if errors.As(err, &timeout) && timeout.Timeout() && took < fairWait {
			return NoVerdict
		}
		return Failed
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		return Answered
	}
	return NoVerdict
}

// AnswerError marks an error as the words of Redis, as [redis.Error] does: for those
// that came through another client than go-redis.
type AnswerError struct{ Err error }

func (a AnswerError) Error() string { return a.Err.Error() }

// Unwrap returns the error itself.
func (a AnswerError) Unwrap() error { return a.Err }

// RedisError makes it a [redis.Error].
func (AnswerError) RedisError() {}
