package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

// New returns a Store that uses rdb. It does not dial, and starts no goroutine. The caller
// closes rdb, after the Store.
func New(rdb client, set Settings) *Store {
	s := &Store{set: set, rdb: rdb, memo: newMemo(), begun: time.Now()}
	s.purge, s.lookScript = redis.NewScriptServerSHA(purgeSource), redis.NewScriptServerSHA(lookSource)
	s.fillScript, s.endScript = redis.NewScriptServerSHA(fillSource), redis.NewScriptServerSHA(releaseSource)
	s.caller, s.nodes = bounded.New(rdb).Watch(set.Logger), breaker.NewSet(rdb)
	s.bases, s.reads = bucketsOf(set), bounded.NewTimeout(set.ReadTimeout)
	s.near = newNear(set.NearBytes, set.NearTTL, set.Rules)
	s.base, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close cancels the functions that run in the background, waits for them, and releases the
// leases of this process. It returns an error if ctx ends first; it can be called again.
// After Close look-ups acquire no leases; all else still works.
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
