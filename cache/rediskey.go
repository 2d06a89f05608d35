package cache

import "regexp"

// RedisKey is what the name of a Redis key says about what a cache keeps there,
// see [ParseKey]. The grammar is in the package comment, under Keys.
type RedisKey struct {
	Cache string // see [WithName]
	Entry string // hash of the URL if the key is that of an entry, "" for others
}

// RedisKeyPrefix is what Redis keys with the default prefix begin with, see
// [ParseKey]. EntryPattern is a glob, as of SCAN, that matches what follows it in
// the keys of entries. Both are for operators' tools.
const (
	RedisKeyPrefix = "cache:v2:"
	EntryPattern   = "*:e:*"
)

var (
	entryForm = regexp.MustCompile(`^` + RedisKeyPrefix + `([A-Za-z0-9._-]{1,64}):\{\d+\.\d+\}:e:([0-9a-f]{32}):`)
	partForm  = regexp.MustCompile(`^` + RedisKeyPrefix + `([A-Za-z0-9._-]{1,64}):\{\d+\.\d+\}:(?:[bclnorv]:|log$)`)
)

// ParseKey parses the name of a Redis key with the default prefix. It reports
// false for a key that no cache writes, and for one of another [WithKeyPrefix].
// It is for operators' tools, and does not ask Redis.
func ParseKey(redisKey string) (RedisKey, bool) {
	if m := entryForm.FindStringSubmatch(redisKey); m != nil {
		return RedisKey{Cache: m[1], Entry: m[2]}, true
	}
	if m := partForm.FindStringSubmatch(redisKey); m != nil {
		return RedisKey{Cache: m[1]}, true
	}
	return RedisKey{}, false
}
