package store

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
)

// answer is what one pipeline reads of an entry.
type answer struct {
	body  *redis.StringCmd
	ttl   *redis.DurationCmd
	log   *redis.SliceCmd
	tags  []string
	floor int64
	// purged and soft are the latest purges that concern the URL or the tags.
	purged, soft int64
}

// append makes the commands, and appends them to cmds.
func (a *answer) append(ctx context.Context, cmds []redis.Cmder, f *Found, tags []string) []redis.Cmder {
	a.tags = tags
	words := make([]any, 0, 11+2*len(tags))
	words = append(words, "hmget", f.Log, "_inc", "_seq", "_floor", URLField(f.url, false), URLField(f.url, true))
	for _, tag := range tags {
		hash := cachekey.Digest(tag)
		words = append(words, field("t:", hash, false), field("t:", hash, true))
	}
	n := len(words)
	words = append(words, "get", f.EntryKey(f.Variant), "pttl", nil)
	words[n+3] = words[n+1]
	a.log = redis.NewSliceCmd(ctx, words[:n:n]...)
	a.body = redis.NewStringCmd(ctx, words[n:n+2:n+2]...)
	a.ttl = redis.NewDurationCmd(ctx, time.Millisecond, words[n+2:]...)
	// The log before the entry: what is stored in between is newer than both.
	return append(cmds, a.log, a.body, a.ttl)
}

// entry is what is stored, if it can be read and is of this target.
func (a *answer) entry(f *Found) *Entry {
	b, err := a.body.Bytes()
	if err != nil || a.ttl.Val() <= 0 {
		return nil
	}
	e, err := DecodeEntry(b)
	if err != nil || e.Target != f.Target || a.ttl.Val() > e.Keep {
		return nil
	}
	return e
}

func integer(v any) int64 {
	s, _ := v.(string)
	if s == "" { // as most fields of a log: no number, and no error for it
		return 0
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
