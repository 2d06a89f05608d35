package store

import (
	"context"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
)

// nudgeEvery is the least time between two nudges.
const nudgeEvery = 500 * time.Millisecond

// nudge has a cluster client load its topology after a failed purge, which is not reported
// to the breakers; these do so for look-ups. go-redis (9.23) loads the
// slots again when a node redirects, and once a minute; a master that is dead
// redirects nothing.
func (s *Store) nudge(ctx context.Context) {
	cluster, ok := bounded.Unwrap(s.rdb).(interface{ ReloadState(context.Context) })
	if !ok {
		return
	}
	last, now := s.nudged.Load(), int64(time.Since(s.begun))
	if (last == 0 || now-last >= int64(nudgeEvery)) && s.nudged.CompareAndSwap(last, now) {
		cluster.ReloadState(ctx) // in the background
	}
}
