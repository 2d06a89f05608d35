package store

import (
	"context"
	"fmt"

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
	fields = append(fields, "_inc", "_seq", "_floor", "u:"+f.url, "su:"+f.url)
	for _, tag := range tags {
		d := cachekey.Digest(tag)
		fields = append(fields, "t:"+d, "st:"+d)
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

func (a *answer) numbers(ctx context.Context, s *Store, f *Found) (err error) {
	log := a.log.Val()
	if len(log) != 5+2*len(a.tags) {
		return fmt.Errorf("log of %d fields", len(log))
	}
	f.Inc, _ = log[0].(string)
	f.Seq, a.floor = integer(log[1]), integer(log[2])
	for i, v := range log[3:] {
		if i%2 == 0 {
			a.purged = max(a.purged, integer(v))
		} else {
			a.soft = max(a.soft, integer(v))
		}
	}
	if f.Inc == "" { // it was lost since it was checked
		f.Inc, f.Seq, err = s.begin(ctx, f)
	}
	return err
}
