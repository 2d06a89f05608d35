package cache

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
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

// OptionError is one mistake in the arguments of [New].
type OptionError = setting.Error

// Hooks observe a [Cache]. Any may be nil. They run on the request's goroutine
// and must not block.
type Hooks struct {
	// Served is called when it is known what the cache does with a request.
	Served func(ctx context.Context, s Status)
	// Failed is called for each failed call to Redis: a look-up, a fill, or
	// the invalidation after an unsafe request, which then did not happen.
	Failed func(ctx context.Context, err error)
}

type config struct {
	settings   store.Settings // of the store; New adds what is missing
	rules      rules.Rules
	identifier string
	waits      bool
	hooks      Hooks
	logger     *slog.Logger

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

// WithName tells caches apart that share a Redis; caches of one name share
// their entries. It matches [A-Za-z0-9._-]{1,64}. The default is "default". Use it
// for applications whose URLs mean different things.
func WithName(name string) Option { return optionFunc(func(c *config) { c.settings.Name = name }) }

// WithKeyPrefix sets the first part of every Redis key. The default is "cache";
// it must not be empty or have braces.
func WithKeyPrefix(prefix string) Option {
	return optionFunc(func(c *config) { c.settings.Prefix = prefix })
}

// WithIdentifier sets the name of this cache in Cache-Status, a token (RFC 9211,
// section 2). The default is "redishttp". Use it where a CDN or another cache in
// the chain sends the field too.
func WithIdentifier(id string) Option { return optionFunc(func(c *config) { c.identifier = id }) }

// WithTimeouts bounds each call to Redis: read for a look-up, write for a fill
// or a purge. The defaults are 50ms and 1s; 0 and less are mistakes. A request waits
// no longer than read before it is forwarded.
func WithTimeouts(read, write time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.ReadTimeout, c.settings.WriteTimeout = read, write })
}

// WithMaxBody bounds a stored body in bytes; a larger one is forwarded and not
// stored. The default is 8 MiB; 0 and less are mistakes.
func WithMaxBody(n int64) Option { return optionFunc(func(c *config) { c.rules.MaxBody = n }) }

// WithMaxTTL bounds how long an entry is fresh, and how long it may be served
// stale, whatever the response says. The default is 24h; less than 1s is a
// mistake.
func WithMaxTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.rules.MaxTTL = d }) }

// WithBuckets spreads the entries over n slots of a cluster, at most 4096. All
// instances must agree, or they do not see each other's entries. The default is 1
// for a client of one server or sentinel group, and 64 for any other.
func WithBuckets(n int) Option { return optionFunc(func(c *config) { c.settings.Buckets = n }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets a line when Redis becomes unavailable and
// when it is back, and for mistakes. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

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
		logger: slog.New(slog.DiscardHandler),
	}
	if _, single := bounded.Unwrap(rdb).(interface{ Options() *redis.Options }); !single {
		c.settings.Buckets = 64 // a cluster, a ring, or it cannot be known
	}
	return c
}

func (c *config) validate(hasClient bool) error {
	check := &setting.Check{Package: "cache"}
	check.That(hasClient, "rdb", "is nil")
	check.Name("WithName", c.settings.Name)
	check.That(c.settings.Prefix != "" && !strings.ContainsAny(c.settings.Prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(rules.ValidToken.MatchString(c.identifier), "WithIdentifier", "is not a structured field token (RFC 9651)")
	check.That(c.settings.ReadTimeout > 0 && c.settings.WriteTimeout > 0, "WithTimeouts", "are not above 0")
	check.That(c.rules.MaxBody > 0, "WithMaxBody", "%d is not above 0", c.rules.MaxBody)
	check.That(c.rules.MaxTTL >= time.Second, "WithMaxTTL", "%v is below 1s", c.rules.MaxTTL)
	check.That(c.settings.Buckets >= 1 && c.settings.Buckets <= 4096, "WithBuckets", "%d is not within 1 and 4096", c.settings.Buckets)
	c.checkHTTP(check)
	c.checkStore(check)
	check.That(c.logger != nil, "WithLogger", "is nil")
	return check.Err()
}
