package cache

import (
	"context"
	_ "embed" // for the script
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/unavailable"
)

//go:embed purge.lua
var purgeSource string

// Errors of a [Cache].
var (
	// ErrUnavailable is returned when Redis does not answer in time, cannot be
	// reached or cannot serve now. It is the ErrUnavailable of every package of this
	// module.
	ErrUnavailable = unavailable.Err
	errPending     = fmt.Errorf("cache: %w: an invalidation is still to be written", ErrUnavailable)
)

// Cache is a shared response cache. It is safe for concurrent use. It starts
// goroutines only for refreshes in the background, and one each for leases to be
// given back and for invalidations that have to be retried; Close waits for them.
type Cache struct {
	config
	rdb        Client
	caller     *bounded.Caller
	purge      script
	lookScript script
	fillScript script
	endScript  script // of leases
	bases      []bucket
	memo       memo
	nodes      *breaker.Set
	shares     shares
	flights    flights
	leases     leases
	returns    returns
	near       *near
	pending    pending
	stats      counters
	gen        atomic.Uint64 // of the purges that this process knows of
	begun      time.Time
	refreshing atomic.Int64
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

// New returns a Cache that stores responses in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError].
func New(rdb Client, opts ...Option) (*Cache, error) {
	c := &Cache{config: defaults(rdb), rdb: rdb, memo: newMemo(), begun: time.Now()}
	c.purge.source, c.lookScript.source, c.fillScript.source, c.endScript.source = purgeSource, lookSource, fillSource, releaseSource
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c.config)
		}
	}
	hasClient := !bounded.IsNil(rdb)
	if err := c.validate(hasClient); err != nil {
		return nil, err
	}
	c.caller, c.nodes = bounded.New(rdb).Watch(c.logger), breaker.NewSet(rdb)
	c.bases = c.bucketsOf()
	c.near = newNear(c.nearBytes, c.nearTTL)
	c.base, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends what runs in the background, gives back the leases of this process
// and waits for both until ctx ends. The client stays open. Requests are still served,
// without refreshes and without waiting for other instances.
func (c *Cache) Close(ctx context.Context) error {
	c.ended.Store(true)
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	done := make(chan struct{})
	go func() {
		c.work.Wait()
		bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
		defer cancel()
		c.returnAll(bound)
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cache: close: %w", context.Cause(ctx))
	}
}

// background runs fn on a goroutine that Close waits for; false after Close.
func (c *Cache) background(fn func(ctx context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Go(func() { fn(c.base) })
	return true
}

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
	if err != nil || !s.Hit || f.left() <= 0 {
		return nil, s, err
	}
	inline, err := f.entry.inline()
	if err == nil && f.entry.id != "" {
		inline, err = io.ReadAll(&body{ctx: ctx, c: c, f: &f, inline: inline})
	}
	if err != nil {
		return nil, s, wrapped("read", err)
	}
	return &Response{Status: f.entry.status, Header: f.entry.header.Clone(), Body: inline, Age: f.age(), TTL: f.left()}, s, nil
}

// lookup is that of a request without a response writer, and without hooks.
func (c *Cache) lookup(ctx context.Context, r *http.Request) (found, Status, error) {
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	r = c.annotate(nil, r)
	x := exchange{c: c, r: r, d: c.demands(r)}
	_, err := x.lookup(false)
	return x.f, x.s, err
}
