package store

import (
	"context"
	"strconv"

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

func (a *answer) queue(ctx context.Context, pipe redis.Pipeliner, f *Found, tags []string) {
	a.tags = tags
	fields := make([]string, 0, 5+2*len(tags))
	fields = append(fields, "_inc", "_seq", "_floor", URLField(f.url, false), URLField(f.url, true))
	for _, tag := range tags {
		hash := cachekey.Digest(tag)
		fields = append(fields, field("t:", hash, false), field("t:", hash, true))
	}
	// The log before the entry: what is stored in between is newer than both.
	a.log = pipe.HMGet(ctx, f.Log, fields...)
	a.body = pipe.Get(ctx, f.EntryKey(f.Variant))
	a.ttl = pipe.PTTL(ctx, f.EntryKey(f.Variant))
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
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
