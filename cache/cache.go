package cache

import (
	"context"
	"crypto/rand"
	_ "embed" // for the script
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
)

//go:embed purge.lua
var purgeSource string

// ErrUnavailable is a Redis that is known to be down and was not asked.
var ErrUnavailable = errors.New("cache: redis is unavailable")

// Cache is a shared response cache. It is safe for concurrent use.
type Cache struct {
	config
	rdb     Client
	caller  *bounded.Caller
	purge   *redis.Script
	memo    memo
	breaker breaker.Breaker
}

// New returns a Cache that stores responses in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError].
func New(rdb Client, opts ...Option) (*Cache, error) {
	c := &Cache{config: defaults(rdb), rdb: rdb, purge: redis.NewScriptServerSHA(purgeSource), memo: memo{names: map[string][]string{}}}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c.config)
		}
	}
	hasClient := !bounded.IsNil(rdb)
	if err := c.validate(hasClient); err != nil {
		return nil, err
	}
	c.caller = bounded.New(rdb)
	if !c.caller.HonorsDeadlines() {
		c.logger.Warn("the redis client ignores deadlines: set ContextTimeoutEnabled, each call costs a goroutine meanwhile")
	}
	return c, nil
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
// none that is fresh and suits the request's Cache-Control. It runs no
// handler.
func (c *Cache) Lookup(ctx context.Context, r *http.Request) (*Response, Status, error) {
	f, s, err := c.lookup(ctx, r)
	if err != nil || f.entry == nil {
		return nil, s, err
	}
	return &Response{Status: f.entry.status, Header: f.entry.header, Body: f.entry.body, Age: f.age(), TTL: f.ttl}, s, nil
}

// age is by Redis' clock alone: what is left of the life it was stored for.
func (f *found) age() time.Duration { return f.entry.age + f.entry.life - f.ttl }

func (c *Cache) lookup(ctx context.Context, r *http.Request) (found, Status, error) {
	if reason := bypass(r); reason != "" {
		return found{}, Status{Forward: "bypass", Detail: reason}, nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return found{}, Status{Forward: "method"}, nil
	}
	control := parseControl(r.Header)
	if control.has("no-store") {
		return found{}, Status{Forward: "request", Detail: "no-store"}, nil
	}
	ticket, ok := c.breaker.Allow()
	if !ok {
		return found{}, Status{Forward: "bypass", Detail: "store-error"}, ErrUnavailable
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	f, err := c.find(bound, requestTarget(r), r.Header)
	c.report(ctx, ticket, err)
	if err != nil {
		return found{}, Status{Forward: "bypass", Detail: "store-error"}, fmt.Errorf("cache: look up: %w", err)
	}
	switch {
	case f.entry == nil:
		return f, Status{Forward: f.state}, nil
	case !acceptable(control, r.Header, f.age(), f.ttl):
		f.entry = nil
		return f, Status{Forward: "request"}, nil
	}
	return f, Status{Hit: true, TTL: f.ttl}, nil
}

func (c *Cache) report(ctx context.Context, t breaker.Ticket, err error) {
	switch c.breaker.Report(t, breaker.Of(err), err) {
	case breaker.Opened:
		c.logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, nothing is cached")
	case breaker.Closed:
		c.logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, responses are cached again")
	}
}

// Purge makes the stored responses of absolute URLs void, all variants, in one
// round trip each. When it has returned, no response is served whose handler
// was called before. The error joins those of all URLs.
func (c *Cache) Purge(ctx context.Context, urls ...string) error {
	var errs []error
	for _, raw := range urls {
		target, err := urlTarget(raw)
		if err == nil {
			p := c.place(target)
			err = c.mark(ctx, p.log, "u:"+p.hash)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("cache: purge: %w", err)) // the URL may hold a secret
		}
	}
	return errors.Join(errs...)
}

// PurgeAll makes every entry of this cache void, in one round trip a bucket.
// Other keys in the same Redis are not touched.
func (c *Cache) PurgeAll(ctx context.Context) error {
	var errs []error
	for n := range c.buckets {
		if err := c.mark(ctx, c.bucketBase(n)+"log"); err != nil {
			errs = append(errs, fmt.Errorf("cache: purge all: %w", err))
		}
	}
	return errors.Join(errs...)
}

// mark writes to a purge log. It goes on when the client has gone: the change
// it follows has happened.
func (c *Cache) mark(ctx context.Context, log string, fields ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.storeTimeout)
	defer cancel()
	args := []any{rand.Text(), c.logTTL().Milliseconds(), maxLogFields}
	for _, field := range fields {
		args = append(args, field)
	}
	return c.purge.Run(ctx, c.caller, []string{log}, args...).Err()
}
