package cache

import (
	"context"
	"crypto/rand"

	"github.com/redishttp/redishttp/cache/internal/cachekey"

	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// for the script

//go:embed look.lua
var lookSource string

// wanted is what a look-up is for.
type wanted struct {
	h     http.Header // of the request
	class class
	probe bool   // the entry is likely to be missing: see whether it is being made, or is not stored
	token string // of the lease to take if it is missing, "" for none
}

// checkEvery is how often each process asks whether the master of a bucket is
// still the one that began its purge log. A failover takes longer, and after each
// failure the next look-up asks.
const checkEvery = 100 * time.Millisecond

// query reads everything in one round trip: the names of the selecting
// headers, the entry that the guessed names and variant lead to, its TTL and the purge
// log, and, when the entry is likely to be missing, the lease to make it. A second
// one is needed only when this process knew other names or tags.
func (c *Cache) query(ctx context.Context, f found, k known, q wanted) (found, error) {
	begun := time.Now()
	var (
		names *redis.StringSliceCmd
		a     answer
	)
	var call []scriptCall
	if q.probe || c.doubtful(&f) {
		call = c.looking(&f, q)
	}
	say, err := c.scripted(ctx, &c.lookScript, call, func(pipe redis.Pipeliner) {
		names = pipe.SMembers(ctx, f.vary())
		a = answer{}
		a.queue(ctx, pipe, &f, k.tags)
	})
	if err != nil {
		return f, err
	}
	if call != nil {
		c.checked(&f, begun, say[0])
	}
	e := a.entry(&f)
	stored := names.Val()
	slices.Sort(stored)
	known := slices.Equal(stored, f.names)
	if !known || e != nil && !covers(a.tags, e.tags) {
		// Another variant, or tags whose purges are not known yet.
		if !known {
			c.release(returned{key: f.leaseKey(f.variant), token: f.lease})
			f.lease, f.hitForMiss, f.large = "", false, false // they are of the other variant
		}
		tags := a.tags
		if e != nil {
			tags = e.tags
		}
		f.names, f.variant = stored, c.rules.Variant(stored, q.h)
		a = answer{}
		if err := c.pipeline(ctx, func(pipe redis.Pipeliner) { a.queue(ctx, pipe, &f, tags) }); err != nil {
			return f, err
		}
		if e = a.entry(&f); e != nil && !covers(a.tags, e.tags) {
			e = nil // changed again: a miss
		}
	}
	if err := a.numbers(ctx, c, &f); err != nil {
		return f, err
	}
	f.accept(e, &a)
	c.remember(&f)
	return f, nil
}

// looking is the script before a look-up: it begins the log, and who held the
// lease before has stored by now.
func (c *Cache) looking(f *found, q wanted) []scriptCall {
	f.lease = q.token
	return []scriptCall{{
		[]string{f.log, f.leaseKey(f.variant), f.hitForMissKey(f.variant, q.class), f.largeKey(f.variant)},
		[]any{rand.Text(), c.logTTL().Milliseconds(), q.token, c.leaseTTL.Milliseconds()},
	}}
}

// checked takes in what look.lua said.
func (c *Cache) checked(f *found, begun time.Time, say []int64) {
	const lease, marks, known, left = 0, 1, 2, 3
	if len(say) != 4 {
		return
	}
	c.bases[f.bucket].checked.Store(int64(begun.Sub(c.begun)))
	// A server that takes no lease, because it is full or cannot save, takes
	// no response either; what it has can still be read.
	f.hitForMiss, f.large = say[marks] != 0 || say[lease] < 0, say[marks]&2 != 0
	f.hitForMissLeft = time.Duration(say[left]) * time.Millisecond
	if say[lease] != 1 {
		f.lease = ""
	}
	if say[known] == 0 {
		c.warnOnce.Do(func() {
			c.logger.Warn("redis does not tell its replication ID (INFO replication): a purge that a failover loses is not noticed")
		})
	}
}

// doubtful reports whether the log of a bucket may be another master's.
func (c *Cache) doubtful(f *found) bool {
	checked, doubt := c.bases[f.bucket].checked.Load(), c.doubt.Load()
	return checked == 0 || checked <= doubt || int64(time.Since(c.begun))-checked > int64(checkEvery)
}

// doubtAll has the next look-up in each bucket check its log.
func (c *Cache) doubtAll() { c.doubt.Store(int64(time.Since(c.begun))) }

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

func (a *answer) numbers(ctx context.Context, c *Cache, f *found) (err error) {
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
		f.inc, f.seq, err = c.begin(ctx, f)
	}
	return err
}

// accept takes the entry if it counts: of this log, and not purged since its
// handler was called.
func (f *found) accept(e *entry, a *answer) {
	f.reason = forwardURI
	if len(f.names) > 0 {
		f.reason = forwardVary
	}
	if e == nil || e.inc != f.inc {
		return
	}
	f.reason = forwardStale
	// A sequence above the log's was given out by a master that has since
	// been replaced by one that did not know of it.
	if e.seq < a.floor || e.seq < a.purged || e.seq > f.seq {
		return
	}
	f.entry, f.elapsed, f.soft = e, e.Keep-a.ttl.Val(), e.seq < a.soft
}

func (c *Cache) remember(f *found) {
	c.memo.change(f.hash, func(k *known) {
		k.names, k.until = f.names, time.Time{}
		if f.entry != nil {
			k.tags, k.until = memorable(f.entry.tags), time.Now().Add(f.left()+f.entry.Beyond())
		}
	})
}

// begin starts a purge log that was lost.
func (c *Cache) begin(ctx context.Context, f *found) (inc string, seq int64, err error) {
	var now *redis.SliceCmd
	other := *f // of which no lease is taken
	_, err = c.scripted(ctx, &c.lookScript, c.looking(&other, wanted{}), func(p redis.Pipeliner) { now = p.HMGet(ctx, f.log, "_inc", "_seq") })
	if err != nil {
		return "", 0, err
	}
	if v := now.Val(); len(v) == 2 {
		inc, _ = v[0].(string)
		seq = integer(v[1])
	}
	return inc, seq, nil
}

func covers(asked, tags []string) bool {
	for _, tag := range tags {
		if !slices.Contains(asked, tag) {
			return false
		}
	}
	return true
}

func integer(v any) int64 {
	s, _ := v.(string)
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
