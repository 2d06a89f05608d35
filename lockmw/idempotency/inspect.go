package idempotency

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/rights"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Key is what the name of a Redis key says about the record that it is, see
// [ParseKey].
type Key struct {
	Keeper  string // see [WithName]
	Request string // hash of the scope, the key and the operation
}

// RedisKeyPrefix is what Redis keys with the default prefix begin with, see
// [ParseKey]. It is for operators' tools.
const RedisKeyPrefix = "idempotency:v1:"

var keyForm = regexp.MustCompile(`^` + RedisKeyPrefix + `([^{}]{1,100}):\{([0-9a-f]{32})\}$`)

// ParseKey parses the name of a Redis key with the default prefix. It reports
// false for a key that no keeper writes, and for one of another
// [WithKeyPrefix]. It is for operators' tools, and does not ask Redis.
func ParseKey(redisKey string) (Key, bool) {
	m := keyForm.FindStringSubmatch(redisKey)
	if m == nil {
		return Key{}, false
	}
	return Key{Keeper: m[1], Request: m[2]}, true
}

// Record is what Redis has about a request, without what is in its response,
// see [Inspect].
type Record struct {
	State    string // in words, such as "begun"; "unknown" for a value of another kind
	Attempts int
	Fence    uint64
	Owner    string // of the last attempt
	Size     int64  // of the response that is kept, in bytes
}

// stateNames are for pages of operators.
var stateNames = map[state]string{
	stateBegun: "begun", stateOpen: "the outcome is unknown", stateKept: "done, and the response is kept",
	stateSpent: "done, and the response is not kept", stateForgotten: "forgotten: it may run again",
}

// maxField bounds the fields that are read: those of a record are short.
const maxField = 4096

// Inspect reads the records at Redis keys, in two round trips to each node. The
// result has no entry for a key that is not a hash; one that does not exist has
// the state "unknown". While Redis is unavailable the error matches
// [ErrUnavailable]. It is for operators' tools, and does not read responses.
func Inspect(ctx context.Context, rdb interface{ Pipeline() redis.Pipeliner }, redisKeys ...string) (map[string]Record, error) {
	if len(redisKeys) == 0 {
		return nil, nil
	}
	names := []string{"s", "n", "f", "o", "r"} // r is the response, of which only the length is read
	sizes, values := map[string][]*redis.Cmd{}, map[string][]*redis.StringCmd{}
	pipe := rdb.Pipeline()
	for _, key := range redisKeys {
		for _, name := range names {
			sizes[key] = append(sizes[key], pipe.Do(ctx, "hstrlen", key, name))
		}
	}
	if err := rights.Pipeline(pipe.Exec(ctx)); err != nil {
		return nil, fmt.Errorf("idempotency: inspect: %w", unavailable.Wrap(err))
	}
	for _, key := range redisKeys {
		values[key] = make([]*redis.StringCmd, len(names))
		for i, name := range names[:4] {
			if n, _ := sizes[key][i].Int64(); n > 0 && n <= maxField {
				values[key][i] = pipe.HGet(ctx, key, name)
			}
		}
	}
	if pipe.Len() > 0 {
		if err := rights.Pipeline(pipe.Exec(ctx)); err != nil {
			return nil, fmt.Errorf("idempotency: inspect: %w", unavailable.Wrap(err))
		}
	}
	all := make(map[string]Record, len(redisKeys))
	for _, key := range redisKeys {
		size, err := sizes[key][4].Int64()
		if err != nil {
			continue
		}
		all[key] = decodeInspected(values[key], size)
	}
	return all, nil
}

// decodeInspected returns the record of fields that may be missing.
func decodeInspected(v []*redis.StringCmd, size int64) Record {
	text := func(i int) string {
		if v[i] == nil {
			return ""
		}
		return v[i].Val()
	}
	rec := Record{State: "unknown", Owner: text(3), Size: size}
	if name, ok := stateNames[state(text(0))]; ok {
		rec.State = name
	}
	rec.Attempts, _ = strconv.Atoi(text(1))
	rec.Fence, _ = strconv.ParseUint(text(2), 10, 64)
	return rec
}
