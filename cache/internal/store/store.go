// Package store keeps responses in Redis. It alone knows their keys and formats, which
// docs/redis-keys.md lists:
//
//   - entries, with their variants and the pieces of large bodies;
//   - purge logs. A purge deletes nothing: it gives the URL or tag the next sequence number
//     in the log, and an entry whose look-up came before that number is a miss. So a
//     response that is stored after a purge, but was made before it, does not count, and a
//     purge of any size is one write to each log;
//   - leases, so that one request of all instances calls the handler;
//   - marks of responses that are not stored, so that requests do not wait for them.
//
// A log carries a random incarnation and the replication ID of its master. Entries of
// another incarnation are misses: of a log that was lost, or of a master before a failover,
// whose last purges the new master may lack. So what Redis loses makes misses; it makes no
// purged entry count.
package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

// Counts are counters since [New].
type Counts struct{ Evicted, Fills, Purges atomic.Int64 }

// Store keeps responses in Redis. Make one with [New], and close it. It is safe for
// concurrent use.
type Store struct {
	Counts Counts

	set        Settings
	rdb        client
	caller     *bounded.Caller
	reads      *bounded.Timeout
	nodes      *breaker.Set
	purge      *redis.Script
	lookScript *redis.Script
	fillScript *redis.Script
	endScript  *redis.Script // of leases
	bases      []bucket
	memo       memo
	shares     shares
	leases     leases
	returns    returns
	near       *near
	pending    pending
	gen        atomic.Uint64 // of the purges that this process knows of
	begun      time.Time
	nudged     atomic.Int64 // since begun
	doubt      atomic.Int64 // since begun: what was seen of masters before does not count
	ended      atomic.Bool
	warnOnce   sync.Once

	mu     sync.Mutex // of closed and of what is added to work
	closed bool
	work   sync.WaitGroup
	base   context.Context // of work
	cancel context.CancelFunc
}

// Generation changes with each purge by this process, before and after it is written: a
// response whose handler ran across a change may be outdated.
func (s *Store) Generation() uint64 { return s.gen.Load() }

// Closing reports whether Close was called.
func (s *Store) Closing() bool { return s.ended.Load() }
