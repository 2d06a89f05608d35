package cache

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

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

// Response is a stored response.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Age    time.Duration // since the origin made it
	TTL    time.Duration // for which it stays fresh
}

// Lookup returns the stored response for a GET or HEAD request, nil if there is
// none that is fresh and suits the request's Cache-Control. It runs no handler
// and refreshes nothing.
func (c *Cache) Lookup(ctx context.Context, r *http.Request) (*Response, Status, error) {
	f, s, err := c.lookup(ctx, r)
	if err != nil || !s.Hit || f.Left() <= 0 {
		return nil, s, err
	}
	inline, err := f.Entry.Inline()
	if err == nil && f.Entry.Id != "" {
		inline, err = io.ReadAll(c.store.Open(ctx, &f, inline))
	}
	if err != nil {
		return nil, s, store.Wrap("read", err)
	}
	return &Response{Status: f.Entry.Status, Header: f.Entry.Header.Clone(), Body: inline, Age: f.Age(), TTL: f.Left()}, s, nil
}

// lookup is that of a request without a response writer, and without hooks.
func (c *Cache) lookup(ctx context.Context, r *http.Request) (store.Found, Status, error) {
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	r = c.annotate(nil, r)
	x := exchange{c: c, r: r, d: c.demands(r)}
	_, err := x.lookup(false)
	return x.f, x.s, err
}
