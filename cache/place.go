package cache

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// place is where a target lives: all its keys are in one slot, with the purge
// log of its bucket.
type place struct {
	target string // the whole primary key
	hash   string // of it
	url    string // hash of the URL alone, by which it is purged
	base   string // of the keys of the bucket
	log    string
}

// place of a request; extra is what WithKey adds to the URL.
func (c *Cache) place(target, extra string) place {
	p := place{target: target, url: digest(target)}
	p.hash = p.url
	if extra != "" {
		p.target = join(target, extra)
		p.hash = digest(p.target)
	}
	n, _ := strconv.ParseUint(p.url[:8], 16, 64)
	bucket := &c.bases[n%uint64(c.buckets)]
	p.base, p.log = bucket.base, bucket.log
	return p
}

func (c *Cache) placeOf(r *http.Request) place {
	extra := ""
	if c.key != nil {
		extra = c.key(r)
	}
	return c.place(requestTarget(r), extra)
}

func (p *place) vary() string                     { return p.base + "v:" + p.hash }
func (p *place) entryKey(v string) string         { return p.base + "e:" + p.hash + ":" + v }
func (p *place) leaseKey(v string) string         { return p.base + "l:" + p.hash + ":" + v }
func (p *place) chunkKey(id string, n int) string { return p.base + "c:" + id + ":" + strconv.Itoa(n) }

// bucket is the fixed part of the keys of one. It carries the number of buckets
// as well, so that instances that disagree about it never meet.
type bucket struct{ base, log string }

func (c *config) bucketsOf() []bucket {
	all := make([]bucket, c.buckets)
	for n := range all {
		base := fmt.Sprintf("%s:v1:%s:{%d.%d}:", c.prefix, c.name, c.buckets, n)
		all[n] = bucket{base, base + "log"}
	}
	return all
}

// logTTL is longer than any entry lives: each fill and purge renews it, so a
// log that expires leaves no entry behind, and one that is lost makes all
// entries of its bucket void.
func (c *Cache) logTTL() time.Duration { return 2*(2*c.maxTTL+c.keep) + time.Hour }
