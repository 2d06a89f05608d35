package cache

import (
	"context"
	"sync/atomic"

	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Errors of a [Cache], to test with [errors.Is].
var (
	// ErrUnavailable is returned by Purge, Lookup and Explain when Redis does
	// not answer within [WithTimeouts], cannot be reached or cannot serve now.
	// [Cache.Handler] does not show it to clients; Hooks.Failed gets it. It is
	// the ErrUnavailable of every package of this module.
	ErrUnavailable = unavailable.Err
	// ErrUnconfirmed is returned by purges that were done, but that fewer
	// replicas have confirmed in time than [WithWaitReplicas] requires. Purging
	// again is safe.
	ErrUnconfirmed = store.ErrUnconfirmed
)

// Cache is a shared response cache in Redis and its middleware,
// [Cache.Handler]. It is safe for concurrent use; its settings do not change
// after [New]. It starts goroutines only for refreshes in the background, and
// one each for leases to be released and for invalidations that have to be
// retried; [Cache.Close] waits for them.
type Cache struct {
	config
	store      *store.Store
	flights    flights
	stats      counters
	refreshing atomic.Int64
	usage      prefetch.Usage
	panicked   atomic.Bool // a function of the options, when it was called ahead of its turn
}

// New returns a Cache that stores responses in rdb: the client of package
// connect, or any go-redis client. It does not dial, so it succeeds while Redis
// is down. All mistakes are reported at once, as joined [*OptionError]; a nil
// Option is skipped, and the last of a kind wins. Create one for each Redis and
// name, share it by all handlers, and close it at the end.
func New(rdb Client, opts ...Option) (*Cache, error) {
	c := &Cache{config: defaults(rdb)}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c.config)
		}
	}
	hasClient := !bounded.IsNil(rdb)
	if err := c.validate(hasClient); err != nil {
		return nil, err
	}
	set := c.settings
	set.Rules, set.Logger, set.Failed = &c.rules, c.logger, c.failed
	c.store = store.New(rdb, set)
	return c, nil
}

// Close ends what runs in the background, releases the leases of this process
// and waits for both until ctx ends; then it returns an error that matches the
// context's. Call it after the HTTP server has shut down, so that other
// instances need not wait for this process' leases to expire. The client stays
// open. Requests are still served, without refreshes and without waiting for
// other instances.
func (c *Cache) Close(ctx context.Context) error { return c.store.Close(ctx) }
