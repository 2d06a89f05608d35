package cache

import (
	"context"
	_ "embed"
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

func (a *answer) queue(ctx context.Context, pipe redis.Pipeliner, f *found, tags []string) {
	a.tags = tags
	fields := make([]string, 0, 5+2*len(tags))
	fields = append(fields, "_inc", "_seq", "_floor", "u:"+f.url, "su:"+f.url)
	for _, tag := range tags {
		d := cachekey.Digest(tag)
		fields = append(fields, "t:"+d, "st:"+d)
	}
	// The log before the entry: what is stored in between is newer than both.
	a.log = pipe.HMGet(ctx, f.log, fields...)
	a.body = pipe.Get(ctx, f.entryKey(f.variant))
	a.ttl = pipe.PTTL(ctx, f.entryKey(f.variant))
}

// entry is what is stored, if it can be read and is of this target.
func (a *answer) entry(f *found) *entry {
	b, err := a.body.Bytes()
	if err != nil || a.ttl.Val() <= 0 {
		return nil
	}
	e, err := decodeEntry(b)
	if err != nil || e.target != f.target || a.ttl.Val() > e.Keep {
		return nil
	}
	return e
}

func (a *answer) numbers(ctx context.Context, s *Store, f *found) (err error) {
	log := a.log.Val()
	if len(log) != 5+2*len(a.tags) {
		return fmt.Errorf("log of %d fields", len(log))
	}
	f.inc, _ = log[0].(string)
	f.seq, a.floor = integer(log[1]), integer(log[2])
	for i, v := range log[3:] {
		if i%2 == 0 {
			a.purged = max(a.purged, integer(v))
		} else {
			a.soft = max(a.soft, integer(v))
		}
	}
	if f.inc == "" { // it was lost since it was checked
		f.inc, f.seq, err = s.begin(ctx, f)
	}
	return err
}
