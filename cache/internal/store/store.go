package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

// client is what a [Store] needs of go-redis.
type client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
}

// Settings are those of a [Store]. None is optional.
type Settings struct {
	Prefix, Name   string
	Buckets        int
	ReadTimeout    time.Duration // of a look-up
	WriteTimeout   time.Duration // of anything else
	MaxVariants    int           // of one URL
	Compress       bool
	LeaseTTL       time.Duration
	RefreshTimeout time.Duration // of a refresh, and of its lease
	Replicas       bounded.Replicas
	NearBytes      int64 // 0 for no near tier
	NearTTL        time.Duration
	Rules          *rules.Rules
	Logger         *slog.Logger
	Failed         func(ctx context.Context, err error) // observes calls that failed beside those that return an error
}

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
	purge      script
	lookScript script
	fillScript script
	endScript  script // of leases
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

// NewStore returns a Store that uses rdb, and does not dial.
func New(rdb client, set Settings) *Store {
	s := &Store{set: set, rdb: rdb, memo: newMemo(), begun: time.Now()}
	s.purge.source, s.lookScript.source, s.fillScript.source, s.endScript.source = purgeSource, lookSource, fillSource, releaseSource
	s.caller, s.nodes = bounded.New(rdb).Watch(set.Logger), breaker.NewSet(rdb)
	s.bases = bucketsOf(set)
	s.near = newNear(set.NearBytes, set.NearTTL, set.Rules)
	s.base, s.cancel = context.WithCancel(context.Background())
	return s
}

// generation counts the purges that this process knows of.
func (s *Store) Generation() uint64 { return s.gen.Load() }

// closing reports whether Close was called.
func (s *Store) Closing() bool { return s.ended.Load() }

// shutDown ends what runs in the background, releases the leases of this process and
// waits for both until ctx ends.
func (s *Store) Close(ctx context.Context) error {
	s.ended.Store(true)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		bound, cancel := context.WithTimeout(ctx, s.set.WriteTimeout)
		defer cancel()
		s.returnAll(bound)
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cache: close: %w", context.Cause(ctx))
	}
}
