package store

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Near returns the entry that this process keeps near for a request with the fields h,
// without a round trip.
func (s *Store) Near(p Place, h http.Header) (Found, bool) { return s.near.get(p, h) }

// Lookup is [Store.Find], and keeps a fresh entry near. It fails with an error that matches
// [unavailable.Err] as long as an invalidation of the bucket is pending.
func (s *Store) Lookup(ctx context.Context, p Place, h http.Header, lease bool) (Found, error) {
	if s.pending.has(p.Log) {
		return Found{Place: p, Variant: s.set.Rules.Variant(nil, h)}, errPending
	}
	gen, begun := s.gen.Load(), time.Now()
	f, err := s.Find(ctx, p, h, lease)
	if err == nil && f.Fresh() {
		s.near.put(f, begun, func() bool { return s.gen.Load() == gen })
	}
	return f, err
}

// Find looks up the entry at a place for a request with the fields h. It sends nothing to a
// node that is known to be down. Concurrent requests share a look-up, which does not end
// with ctx; see [shares]. With lease it acquires the lease to make the response, in the same
// round trip, unless this process knows of a fresh entry. After an error the Found has no
// entry, and the HitForMiss that this process has counted itself.
func (s *Store) Find(ctx context.Context, p Place, h http.Header, lease bool) (Found, error) {
	k := s.memo.get(p.Hash)
	guess := Found{Place: p, Names: k.names, Variant: s.set.Rules.Variant(k.names, h)}
	q := wanted{h: h, class: ClassOf(h), probe: !time.Now().Before(k.until)}
	key := p.Hash + guess.Variant
	if q.probe {
		key += string(q.class)
	}
	if lease = lease && q.probe && !s.ended.Load(); lease {
		key += "+"
	}
	f, err := s.shares.do(key, func() (Found, error) {
		if lease { // before it is sent: a reply that is late must not leave it behind
			q.token = rand.Text()
		}
		return s.findNow(ctx, guess, k, q)
	})
	if err == nil && f.Variant != guess.Variant {
		if variant := s.set.Rules.Variant(f.Names, h); f.Variant != variant {
			// The request that did the look-up has other values in selecting fields, and
			// which fields select was not known before.
			q.token = ""
			f, err = s.findNow(ctx, Found{Place: p, Names: f.Names, Variant: variant}, s.memo.get(p.Hash), q)
		}
	}
	if err != nil {
		return s.notFound(p, k, h), err
	}
	return f, nil
}

// notFound is the Found of a look-up that failed, with the HitForMiss that this process has
// counted itself.
func (s *Store) notFound(p Place, k known, h http.Header) Found {
	f := Found{Place: p, Names: k.names, Variant: s.set.Rules.Variant(k.names, h)}
	f.HitForMiss = k.unstored > 1 && k.unstoredOf == ClassOf(h) && time.Now().Before(k.unstoredUntil)
	return f
}

func (s *Store) findNow(ctx context.Context, guess Found, k known, q wanted) (Found, error) {
	call, ok := s.nodes.Allow(guess.Log)
	if !ok {
		return guess, unavailable.Err
	}
	f, err := s.query(s.reads.Context(ctx), guess, k, q)
	s.report(ctx, call, err)
	return s.leased(f, err, guess.mayHold(q.token)), err
}

// leased returns what was found, with its lease offered to the requests of this
// process. After an error the lease that may have been acquired is released.
func (s *Store) leased(f Found, err error, unsure Lease) Found {
	switch {
	case err != nil:
		s.doubtAll()
		s.Release(unsure)
		f.Lease = ""
	case f.Lease != "" && f.Fresh():
		s.Release(f.Detach())
	case f.Lease != "":
		s.Release(s.leases.offer(f.LeaseKey(f.Variant), f.Lease, s.set.LeaseTTL))
	}
	return f
}

// Place returns the place of a target; extra is what WithVaryBy adds to the URL, "" for
// nothing. A purge of the URL concerns every extra.
func (s *Store) Place(target, extra string) Place {
	p := Place{Target: target, url: cachekey.PurgeID(target)}
	if extra != "" {
		p.Target = cachekey.Join(target, extra)
	}
	p.Hash = cachekey.Digest(p.Target)
	n, _ := strconv.ParseUint(p.url[:8], 16, 64)
	p.bucket = n % uint64(s.set.Buckets)
	bucket := &s.bases[p.bucket]
	p.base, p.Log = bucket.base, bucket.log
	return p
}
