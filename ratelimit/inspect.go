package ratelimit

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/rights"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Key is what the name of a Redis key says: which policy it counts, and which
// client.
type Key struct {
	Policy string // the name of the limit, "" for a key that counts several: see [Standing]
	Client string // 32 hexadecimal digits: a hash of what the [KeyFunc] returned
}

// RedisKeyPrefix is what Redis keys with the default prefix begin with, see
// [ParseKey]. It is for operators' tools.
const RedisKeyPrefix = "ratelimit:v1:"

// keyForm matches what keysOf returns with the default prefix.
var keyForm = regexp.MustCompile(`^` + RedisKeyPrefix + `(?:([A-Za-z0-9._:*/-]{1,64}):)?\{([0-9a-f]{32})\}$`)

// ParseKey parses the name of a Redis key with the default prefix "ratelimit". It
// reports false for a key that no limiter writes. Use it in operators' tools, on
// what SCAN returns.
func ParseKey(redisKey string) (Key, bool) {
	m := keyForm.FindStringSubmatch(redisKey)
	if m == nil {
		return Key{}, false
	}
	return Key{Policy: m[1], Client: m[2]}, true
}

// Siblings returns the Redis keys that this limiter counts the same client under,
// redisKey among them, nil if redisKey is not of this limiter. They are in one slot.
// Use it in operators' tools that know a client by its Redis key only; with the
// client's own key call [Limiter.Keys].
func (l *Limiter) Siblings(redisKey string) []string {
	at := strings.LastIndexByte(redisKey, '{')
	if at < 0 {
		return nil
	}
	var all []string
	for _, key := range l.Keys("") {
		all = append(all, key[:strings.LastIndexByte(key, '{')]+redisKey[at:])
	}
	if !slices.Contains(all, redisKey) {
		return nil
	}
	return all
}

// Standing is what Redis stores about one client and one policy.
type Standing struct {
	// Policy is the name of the limit, of a key that counts several. Else it is "", and
	// [ParseKey] finds it in the key's name.
	Policy string
	// Kind is "bucket", "window", "places" of a [Concurrency] policy, or "unknown"
	// for a value that no limiter writes.
	Kind string
	// Used is how many requests of cost 1 count now: of a bucket what has not
	// drained yet, of a window its sum, and else the places that are held.
	Used float64
	// Blocked is when a block of [Limiter.Block] ends, zero if there is none.
	Blocked time.Time
	// Expires is when the key expires, zero if it has no TTL.
	Expires time.Time
}

// Values beyond these sizes are not read. A limiter writes them only for a client that
// holds thousands of places.
const (
	maxFields = 4096
	maxBytes  = 1 << 20
)

// standing has the replies about one key. Those of the wrong type are errors, which
// tell the key's type.
type standing struct {
	bucket             *redis.StringCmd
	fields, held, size *redis.IntCmd
	ttl                *redis.DurationCmd
	hash               *redis.MapStringStringCmd
	places             *redis.ZSliceCmd
}

// Inspect reads what limiters count under Redis keys, in two round trips. The
// result is by key, with a standing for each policy, by name, and has no entry for a key
// that does not exist. The error matches [ErrUnavailable] if Redis cannot be read. Use
// it in operators' tools: it knows neither rates nor limits, which are not in Redis.
func Inspect(ctx context.Context, rdb redis.UniversalClient, redisKeys ...string) (map[string][]Standing, error) {
	if len(redisKeys) == 0 {
		return nil, nil
	}
	now := time.Now()
	after := "(" + strconv.FormatInt(now.UnixMicro(), 10)
	read := make([]standing, len(redisKeys))
	pipe := rdb.Pipeline()
	for i, key := range redisKeys {
		read[i] = standing{
			bucket: pipe.GetRange(ctx, key, 0, 127), fields: pipe.HLen(ctx, key), held: pipe.ZCount(ctx, key, after, "+inf"),
			ttl: pipe.PTTL(ctx, key), size: pipe.MemoryUsage(ctx, key, 300),
		}
	}
	if err := rights.Pipeline(pipe.Exec(ctx)); err != nil {
		return nil, fmt.Errorf("ratelimit: inspect: %w", unavailable.Wrap(err))
	}
	for i, key := range redisKeys {
		r := &read[i]
		if n := r.fields; n.Err() == nil && n.Val() > 0 && n.Val() < maxFields && r.size.Val() <= maxBytes {
			r.hash = pipe.HGetAll(ctx, key)
		}
		if n := r.held; n.Err() == nil && n.Val() > 0 && n.Val() < maxFields {
			r.places = pipe.ZRangeByScoreWithScores(ctx, key, &redis.ZRangeBy{Min: after, Max: "+inf"})
		}
	}
	if pipe.Len() > 0 {
		if err := rights.Pipeline(pipe.Exec(ctx)); err != nil {
			return nil, fmt.Errorf("ratelimit: inspect: %w", unavailable.Wrap(err))
		}
	}
	all := make(map[string][]Standing, len(redisKeys))
	for i, key := range redisKeys {
		if ttl := read[i].ttl.Val(); ttl != -2 { // gone
			all[key] = read[i].decode(now)
		}
	}
	return all, nil
}

// decode returns what the replies say. A block adds one member to a set of places.
func (s *standing) decode(now time.Time) []Standing {
	st := Standing{Kind: "unknown"}
	if s.ttl.Err() == nil && s.ttl.Val() >= 0 {
		st.Expires = now.Add(s.ttl.Val())
	}
	until := ""
	switch {
	case s.bucket.Err() == nil:
		st.Kind = "bucket"
		st.Used, until = decodeBucket(s.bucket.Val(), now, s.ttl.Val())
	case s.hash != nil:
		if all := decodeFields(s.hash.Val(), now, st.Expires); len(all) > 0 {
			return all
		}
		st.Kind = "window"
		st.Used, until = decodeWindow(s.hash.Val())
	case s.held.Err() == nil:
		st.Kind, st.Used = "places", float64(s.held.Val())
		if s.places != nil && blockOf(s.places.Val(), &until) {
			st.Used--
		}
	}
	st.Blocked = blockedUntil(until, now)
	return []Standing{st}
}

// blockedUntil converts the end of a block, which is none if it is over.
func blockedUntil(micros string, now time.Time) time.Time {
	if us, err := strconv.ParseInt(micros, 10, 64); err == nil && us > now.UnixMicro() {
		return time.UnixMicro(us)
	}
	return time.Time{}
}

// bucketForm matches debt:timestamp:token[:until], see bucket_write.lua.
var bucketForm = regexp.MustCompile(`^(\d{1,16}):(\d{1,16}):(\d{1,16})(?::(\d{1,16}))?$`)

// decodeBucket reads a bucket. How fast it drains is not stored, but the debt is 0
// when the key expires.
func decodeBucket(value string, now time.Time, ttl time.Duration) (used float64, until string) {
	m := bucketForm.FindStringSubmatch(value)
	if m == nil {
		return 0, ""
	}
	debt, _ := strconv.ParseFloat(m[1], 64)
	at, _ := strconv.ParseInt(m[2], 10, 64)
	token, _ := strconv.ParseFloat(m[3], 64)
	if token <= 0 {
		return 0, m[4]
	}
	used = debt / token
	if elapsed := now.Sub(time.UnixMicro(at)); m[4] == "" && elapsed > 0 && ttl > 0 {
		used *= float64(ttl) / float64(ttl+elapsed)
	}
	return used, m[4]
}

// decodeWindow adds up the slots of a window.
func decodeWindow(slots map[string]string) (used float64, until string) {
	for slot, n := range slots {
		switch c, err := strconv.ParseInt(n, 10, 64); {
		case slot == "until":
			until = n
		case slot != "from" && err == nil:
			used += float64(c)
		}
	}
	return used, until
}

// blockOf finds the block among the members of a set of places.
func blockOf(places []redis.Z, until *string) bool {
	for _, z := range places {
		if z.Member == "until" {
			*until = strconv.FormatFloat(z.Score, 'f', 0, 64)
			return true
		}
	}
	return false
}
