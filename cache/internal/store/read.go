package store

import (
	"context"
	"slices"
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
	asks  *asks
	floor int64
	// purged and soft are the latest purges that concern the URL or the tags.
	purged, soft int64
}

// asks are the words of the commands of a look-up. Look-ups of one variant copy them,
// because a hook of the client may change those of a command.
type asks struct {
	variant string
	tags    []string // whose purges are read
	words   []any
}

// asksOf returns the words for f's variant.
func asksOf(f *Found, tags []string) *asks {
	words := make([]any, 0, 13+2*len(tags))
	words = append(words, "smembers", f.vary(), "hmget", f.Log, "_inc", "_seq", "_floor", URLField(f.url, false), URLField(f.url, true))
	for _, tag := range tags {
		hash := cachekey.Digest(tag)
		words = append(words, field("t:", hash, false), field("t:", hash, true))
	}
	var entry any = f.EntryKey(f.Variant)
	return &asks{f.Variant, tags, append(words, "get", entry, "pttl", entry)}
}

// names is the command that reads the names of the selecting fields.
func (q *asks) names(ctx context.Context) *redis.StringSliceCmd {
	return redis.NewStringSliceCmd(ctx, slices.Clone(q.words[:2])...)
}

// append makes the commands, and appends them to cmds.
func (a *answer) append(ctx context.Context, cmds []redis.Cmder, q *asks) []redis.Cmder {
	words := slices.Clone(q.words[2:])
	n := len(words) - 4
	a.asks = q
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
