package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const maxLogFields = 50_000

// place is where a target lives: all its keys are in one slot, with the purge
// log of its bucket.
type place struct {
	target, hash         string
	log, vary, entryBase string
}

func (c *Cache) place(target string) place {
	h := digest(target)
	n, _ := strconv.ParseUint(h[:8], 16, 64)
	base := c.bucketBase(int(n % uint64(c.buckets)))
	return place{target: target, hash: h, log: base + "log", vary: base + "v:" + h, entryBase: base + "e:" + h + ":"}
}

// bucketBase carries the number of buckets as well, so that instances that
// disagree about it never meet.
func (c *Cache) bucketBase(n int) string {
	return fmt.Sprintf("%s:v1:%s:{%d.%d}:", c.prefix, c.name, c.buckets, n)
}

// logTTL is longer than any entry lives: each fill and purge renews it, so a
// log that expires leaves no entry behind, and one that is lost makes all
// entries of its bucket void.
func (c *Cache) logTTL() time.Duration { return 2*c.maxTTL + time.Hour }

// found is what a look-up brings.
type found struct {
	place
	names []string // headers that select among variants
	inc   string   // of the log: what is stored later must carry them,
	seq   int64    // for a purge in between must win
	entry *entry   // nil if there is none that counts
	ttl   time.Duration
	state string // uri-miss, vary-miss or stale
}

// find asks for everything in one round trip: the names of the selecting
// headers, the entry that the last known names lead to, its TTL and the purge
// log. A second one is needed only when this process knew other names.
func (c *Cache) find(ctx context.Context, target string, h map[string][]string) (found, error) {
	f := found{place: c.place(target)}
	f.names = c.memo.get(f.hash)
	var (
		names *redis.StringSliceCmd
		body  *redis.StringCmd
		ttl   *redis.DurationCmd
		log   *redis.SliceCmd
	)
	err := c.pipeline(ctx, func(p redis.Pipeliner) {
		names = p.SMembers(ctx, f.vary)
		body = p.Get(ctx, f.entryBase+variant(f.names, h))
		ttl = p.PTTL(ctx, f.entryBase+variant(f.names, h))
		log = p.HMGet(ctx, f.log, "_inc", "_seq", "_floor", "u:"+f.hash)
	})
	if err != nil {
		return f, err
	}
	stored := names.Val()
	slices.Sort(stored)
	if !slices.Equal(stored, f.names) {
		f.names = stored
		c.memo.put(f.hash, stored)
		if err := c.pipeline(ctx, func(p redis.Pipeliner) {
			body = p.Get(ctx, f.entryBase+variant(f.names, h))
			ttl = p.PTTL(ctx, f.entryBase+variant(f.names, h))
		}); err != nil {
			return f, err
		}
	}
	numbers := log.Val()
	if len(numbers) != 4 {
		return f, fmt.Errorf("log of %d fields, want 4", len(numbers))
	}
	f.inc, _ = numbers[0].(string)
	f.seq = integer(numbers[1])
	if f.inc == "" {
		if f.inc, f.seq, err = c.begin(ctx, f.log); err != nil {
			return f, err
		}
	}
	f.judge(body, ttl.Val(), integer(numbers[2]), integer(numbers[3]))
	return f, nil
}

// begin starts a purge log that was never written, or lost.
func (c *Cache) begin(ctx context.Context, log string) (inc string, seq int64, err error) {
	var now *redis.SliceCmd
	err = c.pipeline(ctx, func(p redis.Pipeliner) {
		p.HSetNX(ctx, log, "_inc", rand.Text())
		p.PExpire(ctx, log, c.logTTL())
		now = p.HMGet(ctx, log, "_inc", "_seq")
	})
	if err != nil {
		return "", 0, err
	}
	if v := now.Val(); len(v) == 2 {
		inc, _ = v[0].(string)
		seq = integer(v[1])
	}
	return inc, seq, nil
}

// judge decides whether the entry counts: of this target and this log, and
// not purged since its handler was called.
func (f *found) judge(body *redis.StringCmd, ttl time.Duration, floor, purged int64) {
	f.state = "uri-miss"
	if len(f.names) > 0 {
		f.state = "vary-miss"
	}
	b, err := body.Bytes()
	if err != nil || ttl <= 0 {
		return
	}
	e, err := decodeEntry(b)
	if err != nil || e.target != f.target || e.inc != f.inc {
		return
	}
	// A sequence above the log's was given out by a master that has since
	// been replaced by one that did not know of it.
	if e.seq < floor || e.seq < purged || e.seq > f.seq || ttl > e.life {
		f.state = "stale"
		return
	}
	f.entry, f.ttl = e, ttl
}

func integer(v any) int64 {
	s, _ := v.(string)
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// fill stores an entry, in one round trip. Whether it still counts is found
// out by who reads it: a purge since the look-up has a higher number.
func (c *Cache) fill(ctx context.Context, f found, h map[string][]string, e *entry) error {
	names := varyNames(e.header)
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 2*maxVary {
		return errors.New("too many selecting headers")
	}
	e.target, e.inc, e.seq = f.target, f.inc, f.seq
	value := e.encode()
	err := c.pipeline(ctx, func(p redis.Pipeliner) {
		if len(names) > 0 {
			// A set is the union of what all responses varied by. It outlives
			// every entry, or a lost name would give one variant for another.
			members := make([]any, len(names))
			for i, name := range names {
				members[i] = name
			}
			p.SAdd(ctx, f.vary, members...)
			p.PExpire(ctx, f.vary, c.logTTL())
		}
		p.Set(ctx, f.entryBase+variant(names, h), value, e.life)
		p.PExpire(ctx, f.log, c.logTTL())
	})
	if err == nil {
		c.memo.put(f.hash, names)
	}
	return err
}

// pipeline runs one round trip; absent keys are no error. The commands are
// made here and only sent under the bound: a call that is left behind must not
// read what the request goes on with.
func (c *Cache) pipeline(ctx context.Context, fn func(redis.Pipeliner)) error {
	p := c.rdb.Pipeline()
	fn(p)
	return c.caller.Do(ctx, func(ctx context.Context) error {
		cmds, err := p.Exec(ctx)
		for _, cmd := range cmds {
			if e := cmd.Err(); e != nil && !errors.Is(e, redis.Nil) {
				return e
			}
		}
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
}
