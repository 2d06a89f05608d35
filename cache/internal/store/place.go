package store

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
)

// place is where a target lives: all its keys are in one slot, with the purge
// log of its bucket.
type Place struct {
	Target string // the whole primary key
	Hash   string // of it
	url    string // hash of the URL alone, by which it is purged; see urlID
	bucket uint64
	base   string // of the keys of the bucket
	Log    string
}

// place of a request; extra is what WithKey adds to the URL.
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

func (p *Place) vary() string               { return p.base + "v:" + p.Hash }
func (p *Place) EntryKey(v string) string   { return p.base + "e:" + p.Hash + ":" + v }
func (p *Place) LeaseKey(v string) string   { return p.base + "l:" + p.Hash + ":" + v }
func (p *Place) RefreshKey(v string) string { return p.base + "r:" + p.Hash + ":" + v }
func (p *Place) index() string              { return p.base + "n:" + p.url }
func (p *Place) largeKey(v string) string   { return p.base + "b:" + p.Hash + ":" + v }
func (p *Place) hitForMissKey(v string, of Class) string {
	return p.base + "o:" + p.Hash + ":" + v + ":" + string(of)
}

func (p *Place) chunkKey(id string, n int) string { return p.base + "c:" + id + ":" + strconv.Itoa(n) }

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
