package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Client is what a [Cache] needs of a go-redis client; all of them have it.
type Client interface {
	bounded.Client
	Pipeline() redis.Pipeliner
}

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "cache: " + e.Option + ": " + e.Reason }

// Hooks observe a [Cache]. Any may be nil. They run on the request's goroutine
// and must not block.
type Hooks struct {
	// Served is called when the outcome of a look-up is known.
	Served func(ctx context.Context, s Status)
	// Failed is called for each failed call to Redis: a look-up, a fill, or
	// the invalidation after an unsafe request, which then did not happen.
	Failed func(ctx context.Context, err error)
}

type config struct {
	prefix       string
	name         string
	identifier   string
	timeout      time.Duration
	storeTimeout time.Duration
	maxBody      int64
	maxTTL       time.Duration
	maxVariants  int
	waitReplicas int
	waitTimeout  time.Duration
	waits        bool
	buckets      int
	hooks        Hooks
	logger       *slog.Logger

	scheme     func(*http.Request) string
	protoField string // of the proxies
	proxies    []netip.Prefix
	trusts     bool

	targets        []string
	heuristic      bool
	defaultTTL     time.Duration
	keep           time.Duration
	vary           []string
	varyCookie     bool
	key            func(*http.Request) string
	skip           func(*http.Request) bool
	compress       bool
	waitMax        time.Duration
	leaseTTL       time.Duration
	beta           float64
	refreshTimeout time.Duration
	refreshContext func(context.Context) context.Context
	nearBytes      int64
	nearTTL        time.Duration
}

// WithName tells caches apart that share a Redis; caches of one name share
// their entries. It matches [A-Za-z0-9._-]{1,64}. The default is "default".
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every key. The default is "cache".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithIdentifier names this cache in Cache-Status (RFC 9211). The default is
// "redishttp".
func WithIdentifier(id string) Option { return optionFunc(func(c *config) { c.identifier = id }) }

// WithTimeouts bounds a look-up, and a fill or purge. The defaults are 50ms and
// 1s.
func WithTimeouts(lookup, store time.Duration) Option {
	return optionFunc(func(c *config) { c.timeout, c.storeTimeout = lookup, store })
}

// WithMaxBody bounds a stored body in bytes; larger ones stream past. The
// default is 8 MiB.
func WithMaxBody(n int64) Option { return optionFunc(func(c *config) { c.maxBody = n }) }

// WithMaxTTL bounds how long an entry is fresh, and how long it may be served
// stale, whatever the response says. The default is 24h.
func WithMaxTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.maxTTL = d }) }

// WithBuckets spreads the entries over so many slots of a cluster. All
// instances must agree, or they do not see each other's entries. The default
// is 1 for a client of one server or sentinel group, 64 for any other.
func WithBuckets(n int) Option { return optionFunc(func(c *config) { c.buckets = n }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger for changes of state. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

func defaults(rdb Client) config {
	c := config{
		prefix: "cache", name: "default", identifier: "redishttp",
		timeout: 50 * time.Millisecond, storeTimeout: time.Second,
		maxBody: 8 << 20, maxTTL: 24 * time.Hour, maxVariants: 100, buckets: 1,
		targets: []string{"Cdn-Cache-Control"}, heuristic: true, keep: 10 * time.Minute,
		waitMax: 3 * time.Second, leaseTTL: 10 * time.Second, beta: 1, refreshTimeout: 30 * time.Second,
		logger: slog.New(slog.DiscardHandler),
	}
	if _, single := bounded.Unwrap(rdb).(interface{ Options() *redis.Options }); !single {
		c.buckets = 64 // a cluster, a ring, or it cannot be known
	}
	return c
}

var (
	validName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	validToken = regexp.MustCompile(`^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/-]{0,63}$`)
)

func (c *config) validate(hasClient bool) error {
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	check(hasClient, "rdb", "is nil")
	check(validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._-]{1,64}")
	check(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check(validToken.MatchString(c.identifier), "WithIdentifier", "is not a structured field token (RFC 9651)")
	check(c.timeout > 0 && c.storeTimeout > 0, "WithTimeouts", "are not above 0")
	check(c.maxBody > 0, "WithMaxBody", fmt.Sprintf("%d is not above 0", c.maxBody))
	check(c.maxTTL >= time.Second, "WithMaxTTL", fmt.Sprintf("%v is below 1s", c.maxTTL))
	check(c.buckets >= 1 && c.buckets <= 4096, "WithBuckets", fmt.Sprintf("%d is not within 1 and 4096", c.buckets))
	c.checkMore(check)
	c.checkStore(check)
	check(c.logger != nil, "WithLogger", "is nil")
	return errors.Join(errs...)
}
