// Package store keeps responses in Redis: entries with their variants and pieces of
// large bodies, the purge logs that say whether an entry still counts, and the leases
// that let one request of the fleet make a response. It alone knows their keys and
// formats; docs/redis-keys.md lists them.
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

// Counts count what a store has done since it was made.
type Counts struct{ Evicted, Fills, Purges atomic.Int64 }

// Store keeps responses in Redis, each with the purge log that says whether it
// still counts. It is safe for concurrent use.
type Store struct {
	Counts Counts

	set        Settings
	rdb        client
	caller     *bounded.Caller
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

// Generation counts the purges that this process knows of.
func (s *Store) Generation() uint64 { return s.gen.Load() }

// Closing reports whether Close was called.
func (s *Store) Closing() bool { return s.ended.Load() }
