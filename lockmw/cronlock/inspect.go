package cronlock

import (
	"context"
	"fmt"
	"regexp"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/rights"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Key is what the name of a Redis key says about the job that it belongs to,
// see [ParseKey].
type Key struct {
	Runner string // see [WithName]
	Job    string // hash of the job's name
	Part   string // "" for the state of the job, "w" for those that watch it
}

// RedisKeyPrefix is what Redis keys with the default prefix begin with, see
// [ParseKey]. It is for operators' tools.
const RedisKeyPrefix = "cron:v1:"

var keyForm = regexp.MustCompile(`^` + RedisKeyPrefix + `([^{}]{1,100}):\{([0-9a-f]{32})\}(?::(w))?$`)

// ParseKey parses the name of a Redis key with the default prefix. It reports
// false for a key that no runner writes, and for one of another
// [WithKeyPrefix]. It is for operators' tools, and does not ask Redis.
func ParseKey(redisKey string) (Key, bool) {
	m := keyForm.FindStringSubmatch(redisKey)
	if m == nil {
		return Key{}, false
	}
	return Key{Runner: m[1], Job: m[2], Part: m[3]}, true
}

// Inspect reads the state of the jobs at Redis keys, in one round trip to each
// node. The result has no entry for a key that is not the state of a job. While
// Redis is unavailable the error matches [ErrUnavailable]. It is for operators'
// tools.
func Inspect(ctx context.Context, rdb interface{ Pipeline() redis.Pipeliner }, redisKeys ...string) (map[string]Status, error) {
	if len(redisKeys) == 0 {
		return nil, nil
	}
	pipe, read := rdb.Pipeline(), make([]*redis.SliceCmd, len(redisKeys))
	for i, key := range redisKeys {
		read[i] = statusOf(ctx, key)
		_ = pipe.Process(ctx, read[i]) // queued
	}
	if err := rights.Pipeline(pipe.Exec(ctx)); err != nil {
		return nil, fmt.Errorf("cronlock: inspect: %w", unavailable.Wrap(err))
	}
	all := make(map[string]Status, len(redisKeys))
	for i, key := range redisKeys {
		if s, ok := decodeStatus(read[i].Val()); ok && read[i].Err() == nil {
			all[key] = s
		}
	}
	return all, nil
}
