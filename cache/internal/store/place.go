package store

import "strconv"

// Place is where a target is stored. All its keys are in one hash slot with the purge log
// of its bucket, so that one script on one node of a cluster reaches them.
type Place struct {
	Target string // the whole primary key
	Hash   string // of it
	url    string // hash of the URL alone, by which it is purged; see cachekey.PurgeID
	bucket uint64
	base   string // of the keys of the bucket
	Log    string
}

func (p *Place) vary() string { return p.base + "v:" + p.Hash }

// EntryKey is the Redis key of a variant.
func (p *Place) EntryKey(v string) string { return p.base + "e:" + p.Hash + ":" + v }

// LeaseKey is the Redis key of the lease to make a variant.
func (p *Place) LeaseKey(v string) string { return p.base + "l:" + p.Hash + ":" + v }

func (p *Place) refreshKey(v string) string { return p.base + "r:" + p.Hash + ":" + v }
func (p *Place) index() string              { return p.base + "n:" + p.url }
func (p *Place) largeKey(v string) string   { return p.base + "b:" + p.Hash + ":" + v }
func (p *Place) hitForMissKey(v string, of Class) string {
	return p.base + "o:" + p.Hash + ":" + v + ":" + string(of)
}

func (p *Place) chunkKey(id string, n int) string { return p.base + "c:" + id + ":" + strconv.Itoa(n) }
