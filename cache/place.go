package cache

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
)

// place is where a target lives: all its keys are in one slot, with the purge
// log of its bucket.
type place struct {
	target string // the whole primary key
	hash   string // of it
	url    string // hash of the URL alone, by which it is purged; see urlID
	bucket uint64
	base   string // of the keys of the bucket
	log    string
}

// place of a request; extra is what WithKey adds to the URL.
func (s *Store) place(target, extra string) place {
	p := place{target: target, url: cachekey.PurgeID(target)}
	if extra != "" {
		p.target = cachekey.Join(target, extra)
	}
	p.hash = cachekey.Digest(p.target)
	n, _ := strconv.ParseUint(p.url[:8], 16, 64)
	p.bucket = n % uint64(s.set.Buckets)
	bucket := &s.bases[p.bucket]
	p.base, p.log = bucket.base, bucket.log
	return p
}

func (p *place) vary() string               { return p.base + "v:" + p.hash }
func (p *place) entryKey(v string) string   { return p.base + "e:" + p.hash + ":" + v }
func (p *place) leaseKey(v string) string   { return p.base + "l:" + p.hash + ":" + v }
func (p *place) refreshKey(v string) string { return p.base + "r:" + p.hash + ":" + v }
func (p *place) index() string              { return p.base + "n:" + p.url }
func (p *place) largeKey(v string) string   { return p.base + "b:" + p.hash + ":" + v }
func (p *place) hitForMissKey(v string, of class) string {
	return p.base + "o:" + p.hash + ":" + v + ":" + string(of)
}

func (p *place) chunkKey(id string, n int) string { return p.base + "c:" + id + ":" + strconv.Itoa(n) }

// bucket is the fixed part of the keys of one. It carries the number of buckets
// as well, so that instances that disagree about it never meet.
type bucket struct {
	base, log string
	checked   atomic.Int64 // when its log was last seen to be of this master, since the start of the cache
}

func bucketsOf(set Settings) []bucket {
	all := make([]bucket, set.Buckets)
	for n := range all {
		base := fmt.Sprintf("%s:v2:%s:{%d.%d}:", set.Prefix, set.Name, set.Buckets, n)
		all[n].base, all[n].log = base, base+"log"
	}
	return all
}

// logTTL is longer than any entry lives: each fill and purge renews it, so a
// log that expires leaves no entry behind, and one that is lost makes all
// entries of its bucket invalid.
func (s *Store) logTTL() time.Duration {
	return 2*(2*s.set.Rules.MaxTTL+s.set.Rules.Retention) + time.Hour
}
