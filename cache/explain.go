package cache

import (
	"context"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// Explanation says what the cache would do with a request, and why, see
// [Cache.Explain].
type Explanation struct {
	Status     Status
	URL        string   // as the key has it: with its scheme, see [WithTrustedProxies]
	Key        string   // the Redis key of the entry
	Log        string   // the Redis key of the purge log that it is checked against
	Vary       []string // request fields that select among variants
	Found      bool     // an entry that counts, fresh or stale
	Code       int      // its status code
	Age        time.Duration
	TTL        time.Duration // of its freshness, negative when stale
	Soft       bool          // it was purged softly
	Tags       []string
	Purges     int64 // number of the last purge of its bucket
	Entered    int64 // that number when its handler was called
	HitForMiss bool  // requests do not wait for each other: what they get is not stored
}

// Explain looks a request up without serving it, for operators: the answer to
// why a page is cached or not. It costs the round trip of a lookup, calls no
// handler, counts nothing and calls no hook. While Redis is unavailable the
// error matches [ErrUnavailable].
func (c *Cache) Explain(ctx context.Context, r *http.Request) (Explanation, error) {
	f, s, err := c.lookup(ctx, r)
	x := Explanation{Status: s, Log: f.Log, Vary: rules.FieldsOf(f.Names), Purges: f.Seq, HitForMiss: f.HitForMiss}
	if f.Target != "" {
		x.URL, x.Key = Entry{}.named(f.Target).URL, f.EntryKey(f.Variant)
	}
	if e := f.Entry; e != nil {
		x.Found, x.Code, x.Age, x.TTL, x.Soft, x.Tags, x.Entered = true, e.Status, f.Age(), f.Left(), f.Soft, e.Tags, e.Seq
	}
	return x, err
}
