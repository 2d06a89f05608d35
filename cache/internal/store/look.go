package store

import (
	"context"
	"crypto/rand"
	_ "embed" // for the script
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

//go:embed look.lua
var lookSource string

// wanted is what a look-up is for.
type wanted struct {
	h     http.Header // of the request
	class Class
	probe bool   // the entry is likely to be missing: see whether it is being made, or is not stored
	token string // of the lease to take if it is missing, "" for none
}

// checkEvery is how often each process checks whether the master of a bucket is still the
// one that began its purge log. A failover takes longer, and after each failure the next
// look-up checks.
const checkEvery = 100 * time.Millisecond

// lookupRead is a look-up: its commands, and when they were made.
type lookupRead struct {
	wanted
	begun time.Time
	names *redis.StringSliceCmd
	a     answer
	call  []scriptCall // of look.lua, none if it is not needed
}

// lookupOf makes a look-up of what the guessed names and variant in f lead to.
func (s *Store) lookupOf(f *Found, q wanted) lookupRead {
	rd := lookupRead{wanted: q, begun: time.Now()}
	if check := s.doubtful(f); q.probe || check {
		rd.call = s.looking(f, q, check)
	}
	return rd
}

// append makes the commands behind those of the script, and appends them to cmds.
func (rd *lookupRead) append(ctx context.Context, cmds []redis.Cmder, q *asks) []redis.Cmder {
	rd.names = q.names(ctx)
	rd.a = answer{}
	return rd.a.append(ctx, append(cmds, rd.names), q)
}

// query reads everything in one round trip: the names of the selecting
// headers, the entry that the guessed names and variant lead to, its TTL and the purge
// log, and, when the entry is likely to be missing, the lease to make it. Another
// one is needed when this process knew other names, and one when it knew other tags.
func (s *Store) query(ctx context.Context, f Found, k known, q wanted) (Found, error) {
	rd := s.lookupOf(&f, q)
	say, err := s.scripted(ctx, s.lookScript, rd.call, func(pipe redis.Pipeliner) {
		_ = pipe.BatchProcess(ctx, rd.append(ctx, make([]redis.Cmder, 0, 4), k.asksFor(&f))...)
	})
	if err != nil {
		return f, err
	}
	if rd.call != nil {
		s.checked(&f, rd.begun, say[0])
	}
	return s.found(ctx, f, &rd)
}

// found reads the replies of a look-up, and more if the guess was wrong.
func (s *Store) found(ctx context.Context, f Found, rd *lookupRead) (Found, error) {
	a, err := &rd.a, error(nil)
	e := a.entry(&f)
	stored := rd.names.Val()
	slices.Sort(stored)
	if !slices.Equal(stored, f.Names) { // another variant
		s.Release(f.Detach())
		f.HitForMiss, f.Large = false, false // they are of the other variant
		f.Names, f.Variant = stored, s.set.Rules.Variant(stored, rd.h)
		tags := a.asks.tags
		if e != nil { // variants of one target mostly have the same
			tags = e.Tags
		}
		if e, err = s.reread(ctx, &f, a, tags); err != nil {
			return f, err
		}
	}
	if e != nil && !covers(a.asks.tags, e.Tags) { // tags whose purges are not known yet
		if e, err = s.reread(ctx, &f, a, e.Tags); err != nil {
			return f, err
		}
		if e != nil && !covers(a.asks.tags, e.Tags) {
			e = nil // changed in between: a miss
		}
	}
	if err := a.numbers(ctx, s, &f); err != nil {
		return f, err
	}
	f.accept(e, a)
	s.remember(&f, a.asks)
	return f, nil
}

// reread reads the entry of f's variant with the purges of these tags.
func (s *Store) reread(ctx context.Context, f *Found, a *answer, tags []string) (*Entry, error) {
	*a = answer{}
	err := s.pipeline(ctx, func(pipe redis.Pipeliner) { _ = pipe.BatchProcess(ctx, a.append(ctx, nil, asksOf(f, tags))...) })
	if err != nil {
		return nil, err
	}
	return a.entry(f), nil
}

// looking is the script before a look-up: it begins a lost log and acquires the lease. It
// runs before the entry is read, so that the holder of a lease that has just ended has
// stored its response by then.
// check has it see whether the log is this master's.
func (s *Store) looking(f *Found, q wanted, check bool) []scriptCall {
	f.Lease = q.token
	look := 0
	if check {
		look = 1
	}
	return []scriptCall{{
		[]string{f.Log, f.LeaseKey(f.Variant), f.hitForMissKey(f.Variant, q.class), f.largeKey(f.Variant)},
		[]any{rand.Text(), s.set.logTTL().Milliseconds(), q.token, s.set.LeaseTTL.Milliseconds(), look},
	}}
}

// checked applies the reply of look.lua.
func (s *Store) checked(f *Found, begun time.Time, say []int64) {
	const lease, marks, known, left, notChecked = 0, 1, 2, 3, 2
	if len(say) != 4 {
		return
	}
	if say[known] != notChecked {
		s.bases[f.bucket].checked.Store(int64(begun.Sub(s.begun)))
	}
	// A server that refuses a lease, because it is full or cannot save, refuses
	// responses too. Its entries can still be read.
	f.HitForMiss, f.Large = say[marks] != 0 || say[lease] < 0, say[marks]&2 != 0
	f.HitForMissLeft = time.Duration(say[left]) * time.Millisecond
	if say[lease] != 1 {
		f.Lease = ""
	}
	if say[known] == 0 {
		s.warnOnce.Do(func() {
			s.set.Logger.Warn("redis does not tell its replication ID (INFO replication): a purge that a failover loses is not noticed")
		})
	}
}

// doubtful reports whether the log of a bucket may be another master's.
func (s *Store) doubtful(f *Found) bool {
	checked, doubt := s.bases[f.bucket].checked.Load(), s.doubt.Load()
	return checked == 0 || checked <= doubt || int64(time.Since(s.begun))-checked > int64(checkEvery)
}

// doubtAll has the next look-up in each bucket check its log.
func (s *Store) doubtAll() { s.doubt.Store(int64(time.Since(s.begun))) }

// accept sets the entry if it counts: it is of this incarnation of the log, and was not
// purged since the look-up before its handler was called.
func (f *Found) accept(e *Entry, a *answer) {
	f.Reason = rules.ForwardURI
	if len(f.Names) > 0 {
		f.Reason = rules.ForwardVary
	}
	if e == nil || e.Inc != f.Inc {
		return
	}
	f.Reason = rules.ForwardStale
	// A sequence number above that of the log is from a former master, whose last
	// purges this one may lack.
	if e.Seq < a.floor || e.Seq < a.purged || e.Seq > f.Seq {
		return
	}
	f.Entry, f.Elapsed, f.Soft = e, e.Keep-a.ttl.Val(), e.Seq < a.soft
}

func (s *Store) remember(f *Found, q *asks) {
	s.memo.change(f.Hash, func(k known) known {
		k.names, k.until = f.Names, time.Time{}
		if f.Entry != nil {
			k.size = len(f.Entry.Body)
			k.tags, k.until = memorable(f.Entry.Tags), time.Now().Add(f.Left()+f.Entry.Beyond())
		}
		if k.asks = nil; q.variant == f.Variant && slices.Equal(q.tags, k.tags) {
			k.asks = q
		}
		return k
	})
}

// begin starts a purge log that was lost.
func (s *Store) begin(ctx context.Context, f *Found) (inc string, seq int64, err error) {
	var now *redis.SliceCmd
	other := *f // of which no lease is taken
	_, err = s.scripted(ctx, s.lookScript, s.looking(&other, wanted{}, true), func(p redis.Pipeliner) { now = p.HMGet(ctx, f.Log, "_inc", "_seq") })
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

func (a *answer) numbers(ctx context.Context, s *Store, f *Found) (err error) {
	log := a.log.Val()
	if len(log) != 5+2*len(a.asks.tags) {
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
