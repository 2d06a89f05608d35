package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "ratelimit: " + e.Option + ": " + e.Reason }

// Policy is what to do while Redis is unavailable.
type Policy uint8

const (
	// Local counts in this process: each instance allows the whole limit, a
	// table of bounded size keeps the counters. A client within its limit
	// passes; one that is over it on this instance gets a 429.
	Local Policy = iota
	// Open lets every request pass, without RateLimit headers.
	Open
	// Closed answers 503 with Retry-After.
	Closed
)

// Engine counts instead of the package's own script. A *redis_rate.Limiter is
// one as it is.
type Engine interface {
	AllowN(ctx context.Context, key string, limit redis_rate.Limit, n int) (*redis_rate.Result, error)
}

// Hooks observe a [Limiter]. Any may be nil. They run on the request's
// goroutine and must not block.
type Hooks struct {
	Decided func(ctx context.Context, d Decision, took time.Duration)
	// Outage is called when Redis becomes unavailable and when it is back: of
	// several nodes when the first is away, and when the last is back.
	Outage func(ctx context.Context, unavailable bool)
	// Failed is called for each call to Redis that failed, before the decision
	// is made without it.
	Failed func(ctx context.Context, err error)
}

type config struct {
	prefix     string
	name       string
	limits     []Limit
	limitsFunc func(*http.Request) []Limit
	key        KeyFunc
	fallback   KeyFunc
	timeout    time.Duration
	outage     Policy
	localKeys  int
	localShare float64
	denySize   int
	denyStale  time.Duration
	engine     Engine
	hooks      Hooks
	logger     *slog.Logger
	clock      func() time.Time
	requests
}

// share is the part of the limits that this instance allows on its own.
func (c *config) share() float64 { return min(max(c.localShare, 0), 1) }

// WithName names the policy, in keys and headers. A fixed name keeps the
// counters when the limit is changed. It matches [A-Za-z0-9._:*/-]{1,64}. The
// default is derived from the limit: 100-per-60s.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every key. The default is "ratelimit".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithKey says what is limited. The default is [RemoteAddr], which trusts no
// header; behind proxies use [ByIP].
func WithKey(key KeyFunc) Option { return optionFunc(func(c *config) { c.key = key }) }

// WithKeyFallback is asked when the key function fails or finds none, like
// [RemoteAddr] for requests without an API key. The default is to answer 500.
func WithKeyFallback(key KeyFunc) Option { return optionFunc(func(c *config) { c.fallback = key }) }

// WithTimeout bounds the call to Redis. The default is 100ms.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithOnUnavailable says what to do while Redis is unavailable. The default is
// [Local].
func WithOnUnavailable(p Policy) Option { return optionFunc(func(c *config) { c.outage = p }) }

// WithLocalKeys bounds the table of [Local]; when it is full, further clients
// share one bucket. The default is 100,000.
func WithLocalKeys(n int) Option { return optionFunc(func(c *config) { c.localKeys = n }) }

// WithLimits adds limits that every request must be within: all are charged or
// none, in the same round trip. The default is none.
func WithLimits(limits ...Limit) Option {
	return optionFunc(func(c *config) { c.limits = append(c.limits, limits...) })
}

// WithLocalShare sets the part of the limits that [Local] allows on this
// instance, above 0 up to 1: with ten instances 0.1 keeps to the limit while
// Redis is away, if clients spread evenly. The default is 1: each allows the
// whole limit.
func WithLocalShare(share float64) Option {
	return optionFunc(func(c *config) { c.localShare = share })
}

// WithDenyCache bounds the memory for refusals that still hold, which are
// repeated without asking Redis, and how long one is trusted before Redis is
// asked again because another instance may have reset the client. A blocked
// client costs at most one call to Redis per instance in that time. A size of 0
// turns it off. The default is 65,536 and 1s.
func WithDenyCache(size int, recheck time.Duration) Option {
	return optionFunc(func(c *config) { c.denySize, c.denyStale = size, recheck })
}

// WithEngine counts with another engine; rdb may then be nil. The default is
// the package's own exact script.
func WithEngine(e Engine) Option { return optionFunc(func(c *config) { c.engine = e }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger for changes of state, not for requests; of requests
// without a client address, which share one key, once a minute. The default
// discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithClock replaces the server's clock, for tests only: clients' clocks
// disagree. The default is Redis' TIME.
func WithClock(now func() time.Time) Option { return optionFunc(func(c *config) { c.clock = now }) }

func defaults() config {
	return config{
		prefix: "ratelimit", key: RemoteAddr, timeout: 100 * time.Millisecond, localKeys: 100_000, localShare: 1,
		denySize: 65_536, denyStale: time.Second,
		logger:   slog.New(slog.DiscardHandler),
		requests: requests{maxWaiting: 1000},
	}
}

func (c *config) validate(hasClient bool, limits []Limit) error {
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	check(hasClient || c.engine != nil, "rdb", "is nil")
	check(c.engine == nil || len(limits) == 1 && limits[0].kind == cellRate && c.limitsFunc == nil, "WithEngine", "an engine decides one limit, and no window or concurrency")
	check(c.name == "" || validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._:*/-]{1,64}")
	check(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check(c.key != nil, "WithKey", "is nil")
	check(c.timeout > 0, "WithTimeout", fmt.Sprintf("%v is not above 0", c.timeout))
	check(c.outage <= Closed, "WithOnUnavailable", "is unknown")
	check(c.localKeys > 0, "WithLocalKeys", fmt.Sprintf("%d is not above 0", c.localKeys))
	check(c.localShare > 0 && c.localShare <= 1, "WithLocalShare", fmt.Sprintf("%v is not above 0 and up to 1", c.localShare))
	check(c.denySize >= 0, "WithDenyCache", fmt.Sprintf("size %d is below 0", c.denySize))
	check(c.denySize == 0 || c.denyStale > 0, "WithDenyCache", fmt.Sprintf("%v is not above 0", c.denyStale))
	check(c.logger != nil, "WithLogger", "is nil")
	c.requests.validate(check, c.hooks)
	return errors.Join(errs...)
}
