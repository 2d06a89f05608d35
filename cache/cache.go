package cache

import (
	"context"
	"sync/atomic"

	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Errors of a [Cache].
var (
	// ErrUnavailable is returned when Redis does not answer in time, cannot be
	// reached or cannot serve now. It is the ErrUnavailable of every package of this
	// module.
	ErrUnavailable = unavailable.Err
	// ErrUnconfirmed is returned by purges that were done, but that fewer replicas
	// have confirmed in time than [WithWaitReplicas] asks for. It is safe to purge
	// again.
	ErrUnconfirmed = store.ErrUnconfirmed
)

// Cache is a shared response cache. It is safe for concurrent use. It starts
// goroutines only for refreshes in the background, and one each for leases to be
// released and for invalidations that have to be retried; Close waits for them.
type Cache struct {
	config
	store      *store.Store
	flights    flights
	stats      counters
	refreshing atomic.Int64
}

// New returns a Cache that stores responses in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError].
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

// Close ends what runs in the background, releases the leases of this process and
// waits for both until ctx ends. The client stays open. Requests are still served,
// without refreshes and without waiting for other instances.
func (c *Cache) Close(ctx context.Context) error { return c.store.Close(ctx) }
