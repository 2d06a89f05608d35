package store

import (
	"fmt"
	"sync/atomic"
)

// bucket is the common part of the keys in one bucket. It has the number of buckets too, so
// that instances with different numbers share nothing.
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
