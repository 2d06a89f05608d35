package ratelimit

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError = setting.Error

// FailureMode says how requests are decided while Redis is unavailable.
type FailureMode uint8

const (
	// FailLocal counts in this process: each instance allows the whole limit,
	// or its part of it, see [WithLocalShare]. A client that exceeds it on this
	// instance gets 429.
	FailLocal FailureMode = iota
	// FailOpen admits every request, without RateLimit headers.
	FailOpen
	// FailClosed rejects every request with 503 and Retry-After.
	FailClosed
)

// Hooks observe a [Limiter]. Any may be nil. They run on the request's
// goroutine and must not block.
type Hooks struct {
	// Decided is called after each decision, also for refunds and charges.
	Decided func(ctx context.Context, d Decision, took time.Duration)
	// Outage is called when Redis becomes unavailable and when it is back: of
	// several nodes when the first is away, and when the last is back.
	Outage func(ctx context.Context, unavailable bool)
	// Failed is called for each call to Redis that failed, before the decision
	// is made without it.
	Failed func(ctx context.Context, err error)
}

type config struct {
	prefix      string
	name        string
	limits      []Limit
	timeout     time.Duration
	failureMode FailureMode
	localKeys   int
	localShare  float64
	denySize    int
	denyRecheck time.Duration
	engine      Engine
	hooks       Hooks
	logger      *slog.Logger
	clock       func() time.Time
	counting
	responding
}

// WithName names the policy of New's limit, in keys and headers. It matches
// [A-Za-z0-9._:*/-]{1,64}. The default is derived from the numbers: 100-per-60s.
// Use it so that the counters are kept when the numbers change, and to tell
// limiters with equal numbers apart.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every Redis key. The default is
// "ratelimit"; it must not be empty or have braces. Use it where applications share a
// Redis.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTimeout bounds each call to Redis. The default is 100ms; 0 and less are
// mistakes. A request waits no longer for its decision, see [WithFailureMode].
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithFailureMode sets how requests are decided while Redis is unavailable. The
// default is [FailLocal]. Use [FailClosed] where an attack must not get through,
// as on logins.
func WithFailureMode(mode FailureMode) Option {
	return optionFunc(func(c *config) { c.failureMode = mode })
}

// WithLocalKeys bounds the table of [FailLocal]: when it holds n clients,
// further ones share one bucket. The default is 100,000; 0 and less are mistakes.
func WithLocalKeys(n int) Option { return optionFunc(func(c *config) { c.localKeys = n }) }

// WithLocalShare sets the part of the limits that [FailLocal] allows on this
// instance, above 0 and up to 1. The default is 1: each instance allows the
// whole limit. With ten instances 0.1 keeps to the limit while Redis is
// away, if clients spread evenly.
func WithLocalShare(part float64) Option {
	return optionFunc(func(c *config) { c.localShare = part })
}

// WithLimits adds limits that every request must be within: all are charged or
// none, in the same round trip. The default is none. It may be given several
// times.
func WithLimits(limits ...Limit) Option {
	return optionFunc(func(c *config) { c.limits = append(c.limits, limits...) })
}

// WithDenyCache sets how many refusals that still hold are remembered, and for
// how long one is repeated before Redis is called again, because another
// instance may have reset the client. A client that floods costs at most one call
// per instance in that time. The defaults are 65,536 and 1s; size 0 turns it off.
func WithDenyCache(size int, recheck time.Duration) Option {
	return optionFunc(func(c *config) { c.denySize, c.denyRecheck = size, recheck })
}

// WithEngine counts with another engine, such as a *redis_rate.Limiter; rdb may
// then be nil. It decides one bucket, and knows no block and no reset. The
// default, also for nil, is the package's own exact script.
func WithEngine(e Engine) Option { return optionFunc(func(c *config) { c.engine = e }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets a line when Redis becomes unavailable and
// when it is back, for mistakes, and once a minute for requests without a client
// address, which share one key. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithClock replaces the clock of the Redis server, for tests: the clocks of
// several instances disagree. The default, also for nil, is Redis' TIME.
func WithClock(now func() time.Time) Option { return optionFunc(func(c *config) { c.clock = now }) }

func defaults() config {
	return config{
		prefix: "ratelimit", timeout: 100 * time.Millisecond, localKeys: 100_000, localShare: 1,
		denySize: 65_536, denyRecheck: time.Second, logger: slog.New(slog.DiscardHandler),
		counting: counting{key: RemoteAddr},
	}
}

func (c *config) validate(hasClient bool, limits []Limit) error {
	check := &setting.Check{Package: "ratelimit"}
	check.That(hasClient || c.engine != nil, "rdb", "is nil")
	check.That(c.engine == nil || len(limits) == 1 && limits[0].kind == bucket && c.limitsFunc == nil, "WithEngine", "an engine decides one limit, and no window or concurrency")
	check.That(c.name == "" || validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._:*/-]{1,64}")
	check.That(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(c.key != nil, "WithKey", "is nil")
	check.That(c.timeout > 0, "WithTimeout", "%v is not above 0", c.timeout)
	check.That(c.failureMode <= FailClosed, "WithFailureMode", "is unknown")
	check.That(c.localKeys > 0, "WithLocalKeys", "%d is not above 0", c.localKeys)
	check.That(c.localShare > 0 && c.localShare <= 1, "WithLocalShare", "%v is not above 0 and up to 1", c.localShare)
	check.That(c.denySize >= 0, "WithDenyCache", "size %d is below 0", c.denySize)
	check.That(c.denySize == 0 || c.denyRecheck > 0, "WithDenyCache", "%v is not above 0", c.denyRecheck)
	check.That(c.logger != nil, "WithLogger", "is nil")
	c.responding.validate(check)
	return check.Err()
}

// counting are the options that say what a request is counted against.
type counting struct {
	key, fallback  KeyFunc
	cost           func(*http.Request) int
	limitsFunc     func(*http.Request) []Limit
	skip, denyList func(*http.Request) bool
}

// responding are the options that change what a client gets or what is done
// after the decision. Its zero value is the default.
type responding struct {
	refund       func(status int, r *http.Request) int
	shadow       bool
	delay        *delay
	headers      HeaderMode
	legacy       *legacy
	partitionKey []byte
	deny         http.Handler
}

// usual reports whether no option of responding is set, so that a refusal can
// be repeated as it was. A new option is covered without a change here.
func (c *responding) usual() bool { return reflect.ValueOf(c).Elem().IsZero() }
