package cache

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// Client is what a [Cache] needs of a go-redis client: *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it. The Cache
// never closes it.
type Client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
}

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New]. Its fields Option and
// Reason say where and what. It is the same type in all packages of this
// module; find it with [errors.As].
type OptionError = setting.Error

// Hooks observe a [Cache], for metrics and tests; see [WithHooks]. Any may be
// nil. They run on the request's goroutine and must not block.
type Hooks struct {
	// Served is called for each request when it is known what the cache does
	// with it: before a hit is sent, and after the handler for a miss. s has
	// what Cache-Status says.
	Served func(ctx context.Context, s Status)
	// Prefetched is called for each look-up that was made in the round trip of an
	// outer middleware, see [WithPrefetch]: used is false if the request did not
	// get to the cache, and then the hook may run when the response is sent already.
	Prefetched func(ctx context.Context, used bool)
	// Failed is called for each failed call to Redis: a lookup, a fill, or the
	// invalidation after an unsafe request, which is then retried. It is also
	// called when a handler panics and a stale response replaces its error.
	// Errors of [Cache.Purge] are returned instead.
	Failed func(ctx context.Context, err error)
}

// config is what the options record; validate checks it.
type config struct {
	settings   store.Settings // of the store; New adds what is missing
	rules      rules.Rules
	identifier string
	waits      bool
	hooks      Hooks
	logger     *slog.Logger
	prefetch   bool

	scheme     func(*http.Request) string
	protoField string // of the proxies
	proxies    []netip.Prefix
	trusts     bool

	varyBy         func(*http.Request) string
	skip           func(*http.Request) bool
	waitMax        time.Duration
	beta           float64
	refreshContext func(context.Context) context.Context
}

// defaults has one bucket for a client of one server, so that a purge of a tag
// is one write, and 64 for one that has several nodes.
func defaults(rdb Client) config {
	c := config{
		identifier: "redishttp",
		settings: store.Settings{
			Prefix: "cache", Name: "default", Buckets: 1, ReadTimeout: 50 * time.Millisecond, WriteTimeout: time.Second,
			MaxVariants: 100, LeaseTTL: 10 * time.Second, RefreshTimeout: 30 * time.Second,
		},
		rules: rules.Rules{
			Targets: []string{"Cdn-Cache-Control"}, Heuristic: true, Retention: 10 * time.Minute,
			MaxBody: 8 << 20, MaxTTL: 24 * time.Hour,
		},
		waitMax: 3 * time.Second, beta: 1,
		logger: slog.New(slog.DiscardHandler), prefetch: true,
	}
	if _, single := bounded.Unwrap(rdb).(interface{ Options() *redis.Options }); !single {
		c.settings.Buckets = 64 // a cluster, a ring, or it cannot be known
	}
	return c
}
