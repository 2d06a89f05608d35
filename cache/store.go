package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// found is what a look-up brings. It is shared by the requests that asked
// together and not changed.
type found struct {
	place
	names   []string // headers that select among variants
	variant string
	inc     string // of the log: what is stored later must carry them,
	seq     int64  // for a purge in between must win
	entry   *entry // nil if there is none that counts; it may be stale
	elapsed time.Duration
	soft    bool   // purged softly: stale, whatever it says
	lease   string // that this look-up took, "" for none
	open    bool   // nothing is stored here, requests need not wait for each other
	state   string // uri-miss, vary-miss or stale
}

// age is by Redis' clock alone: what is left of the life it was stored for.
func (f *found) age() time.Duration { return f.entry.age + f.elapsed }

// left is the freshness that is left, negative for a stale entry.
func (f *found) left() time.Duration {
	left := f.entry.fresh - f.elapsed
	if f.soft {
		return min(left, -time.Millisecond)
	}
	return left
}

func (f *found) fresh() bool { return f.entry != nil && f.left() > 0 }

// openMark in place of a lease says that what is there is not stored.
const openMark = "-"

// find asks for everything in one round trip: the names of the selecting
// headers, the entry that the guessed names and variant lead to, its TTL and the purge
// log, and, when the entry is likely to be missing, the lease to make it. A second
// one is needed only when this process knew other names or tags.
func (c *Cache) find(ctx context.Context, f found, k known, h http.Header, lease bool) (found, error) {
	f.open = time.Now().Before(k.open)
	lease = lease && !f.open
	var (
		names *redis.StringSliceCmd
		held  *redis.StringCmd
		a     answer
	)
	token := ""
	var taken *redis.BoolCmd
	err := c.pipelineBut(ctx, refusedLease, func(pipe redis.Pipeliner) {
		if lease { // before the entry: who held it before has stored by now
			token = rand.Text()
			taken = pipe.SetNX(ctx, f.leaseKey(f.variant), token, c.leaseTTL)
			held = pipe.Get(ctx, f.leaseKey(f.variant))
		}
		names = pipe.SMembers(ctx, f.vary())
		a.ask(ctx, pipe, &f, k.tags)
	})
	if err != nil {
		return f, err
	}
	if held != nil {
		// A server that takes no lease, because it is full or cannot save, takes
		// no response either; what it has can still be read.
		f.open = held.Val() == openMark || refusedLease(taken)
		if held.Val() == token {
			f.lease = token
		}
	}
	e := a.entry(&f)
	stored := names.Val()
	slices.Sort(stored)
	known := slices.Equal(stored, f.names)
	if !known || e != nil && !covers(a.tags, e.tags) {
		// Another variant, or tags whose purges are not known yet.
		if f.lease != "" && !known {
			c.release(f.leaseKey(f.variant))
			f.lease = ""
		}
		tags := a.tags
		if e != nil {
			tags = e.tags
		}
		f.names, f.variant = stored, c.variant(stored, h)
		a = answer{}
		if err := c.pipeline(ctx, func(pipe redis.Pipeliner) { a.ask(ctx, pipe, &f, tags) }); err != nil {
			return f, err
		}
		if e = a.entry(&f); e != nil && !covers(a.tags, e.tags) {
			e = nil // changed again: a miss
		}
	}
	if err := a.numbers(ctx, c, &f); err != nil {
		return f, err
	}
	f.judge(e, &a)
	c.remember(&f)
	switch {
	case f.lease != "" && f.fresh():
		c.release(f.leaseKey(f.variant))
		f.lease = ""
	case f.lease != "":
		c.leases.offer(f.leaseKey(f.variant), f.lease, c.leaseTTL)
	}
	return f, nil
}

// answer is what one pipeline says about an entry.
type answer struct {
	body  *redis.StringCmd
	ttl   *redis.DurationCmd
	log   *redis.SliceCmd
	tags  []string
	floor int64
	// purged and soft are the latest purges that concern the URL or the tags.
	purged, soft int64
}

func (a *answer) ask(ctx context.Context, pipe redis.Pipeliner, f *found, tags []string) {
	a.tags = tags
	fields := make([]string, 0, 5+2*len(tags))
	fields = append(fields, "_inc", "_seq", "_floor", "u:"+f.url, "su:"+f.url)
	for _, tag := range tags {
		d := digest(tag)
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
	if err != nil || e.target != f.target || a.ttl.Val() > e.keep {
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
	if f.inc == "" {
		f.inc, f.seq, err = c.begin(ctx, f.log)
	}
	return err
}

// judge decides whether the entry counts: of this log, and not purged since its
// handler was called.
func (f *found) judge(e *entry, a *answer) {
	f.state = "uri-miss"
	if len(f.names) > 0 {
		f.state = "vary-miss"
	}
	if e == nil || e.inc != f.inc {
		return
	}
	f.state = "stale"
	// A sequence above the log's was given out by a master that has since
	// been replaced by one that did not know of it.
	if e.seq < a.floor || e.seq < a.purged || e.seq > f.seq {
		return
	}
	f.entry, f.elapsed, f.soft = e, e.keep-a.ttl.Val(), e.seq < a.soft
}

func (c *Cache) remember(f *found) {
	c.memo.change(f.hash, func(k *known) {
		k.names = f.names
		k.until = time.Time{}
		if f.entry != nil {
			k.tags, k.until = f.entry.tags, time.Now().Add(f.left())
		}
		if !f.open {
			k.open = time.Time{}
		} else if k.open.IsZero() {
			k.open = time.Now().Add(openLocally)
		}
	})
}

// openLocally is how long another instance's mark is taken on trust.
const openLocally = time.Second

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

var errVary = errors.New("too many selecting headers")

// maxLanguages bounds what a handler can make the store remember of a target.
const maxLanguages = 64

// fill stores an entry, in one round trip. Whether it still counts is found
// out by who reads it: a purge since the look-up has a higher number. Chunks
// are there already.
func (c *Cache) fill(ctx context.Context, f found, h http.Header, e *entry) error {
	names := varyNames(e.header)
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(fieldsOf(names)) > 2*maxVary || len(names) > 2*maxVary+maxLanguages {
		return errVary
	}
	lang := language(fieldsOf(names), e.header)
	if lang != "" && !slices.Contains(names, lang) {
		names = append(names, lang)
		slices.Sort(names)
	}
	if c.compress && e.id == "" && e.size >= minCompress && compressible(e.header) {
		e.shrink()
	}
	e.target, e.inc, e.seq = f.target, f.inc, f.seq
	value, variant, byLang := e.encode(), c.variant(names, h), ""
	if lang != "" { // what those get who like it best
		other := h.Clone()
		other.Set("Accept-Language", lang[len(langMark):])
		byLang = c.variant(names, other)
	}
	err := c.pipeline(ctx, func(p redis.Pipeliner) {
		if len(names) > 0 {
			// A set is the union of what all responses varied by. It outlives
			// every entry, or a lost name would give one variant for another.
			members := make([]any, len(names))
			for i, name := range names {
				members[i] = name
			}
			p.SAdd(ctx, f.vary(), members...)
			p.PExpire(ctx, f.vary(), c.logTTL())
		}
		for n := range e.chunks() {
			p.PExpire(ctx, f.chunkKey(e.id, n), e.keep+chunkGrace)
		}
		p.Set(ctx, f.entryKey(variant), value, e.keep)
		if byLang != "" && byLang != variant {
			p.Set(ctx, f.entryKey(byLang), value, e.keep)
		}
		p.PExpire(ctx, f.log, c.logTTL())
		if f.lease != "" {
			p.Del(ctx, f.leaseKey(f.variant))
		}
	})
	if err == nil {
		c.memo.change(f.hash, func(k *known) {
			*k = known{names: names, tags: e.tags, until: time.Now().Add(e.fresh)}
		})
	}
	return err
}

// refusedLease reports whether cmd is a lease that the server has no room for,
// or does not take because it cannot save.
func refusedLease(cmd redis.Cmder) bool {
	_, lease := cmd.(*redis.BoolCmd)
	return lease && (redis.IsOOMError(cmd.Err()) || redis.HasErrorPrefix(cmd.Err(), "MISCONF"))
}

// pipeline runs one round trip; absent keys are no error. The commands are
// made here and only sent under the bound: a call that is left behind must not
// read what the request goes on with.
func (c *Cache) pipeline(ctx context.Context, fn func(redis.Pipeliner)) error {
	return c.pipelineBut(ctx, func(redis.Cmder) bool { return false }, fn)
}

// pipelineBut is pipeline, but some commands may fail.
func (c *Cache) pipelineBut(ctx context.Context, may func(redis.Cmder) bool, fn func(redis.Pipeliner)) error {
	p := c.rdb.Pipeline()
	fn(p)
	return c.caller.Do(ctx, func(ctx context.Context) error {
		cmds, err := p.Exec(ctx)
		failed := false
		for _, cmd := range cmds {
			switch e := cmd.Err(); {
			case e == nil || errors.Is(e, redis.Nil):
			case may(cmd):
				failed = true
			default:
				return e
			}
		}
		if failed || errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
}
