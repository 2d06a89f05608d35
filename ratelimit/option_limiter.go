package ratelimit

import (
	"log/slog"
	"time"
)

// WithName names the policy of New's limit, in Redis keys and headers. It matches
// [A-Za-z0-9._:*/-]{1,64}. The default, also for "", is derived from the numbers:
// 100-per-60s. Use it so that the counters are kept when the numbers change, and to
// tell limiters with equal numbers apart.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every Redis key. The default is
// "ratelimit"; an empty prefix and one with braces are mistakes. Use it where
// applications share a Redis.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTimeout bounds each call to Redis. The default is 100ms; 0 and negative
// durations are mistakes. A request waits no longer for its decision, which is then
// that of [WithFailureMode]. Use a longer one where Redis is far away.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithFailureMode sets how requests are decided while Redis is unavailable. The
// default is [FailLocal]; an unknown mode is a mistake. Use [FailClosed] where an
// attack must not get through, as on logins, and [FailOpen] where no request may be
// lost.
func WithFailureMode(mode FailureMode) Option {
	return optionFunc(func(c *config) { c.failureMode = mode })
}

// WithLocalLimits sets what [FailLocal] allows on this instance: share is its part of
// the limits, above 0 and up to 1, and keys bounds the clients that it counts;
// further ones share one bucket. The defaults are 1, so that each instance allows the
// whole limit, and 100,000; values outside of these ranges are mistakes. With ten
// instances a share of 0.1 keeps to the limit while Redis is unavailable, if clients
// spread evenly.
func WithLocalLimits(share float64, keys int) Option {
	return optionFunc(func(c *config) { c.localShare, c.localKeys = share, keys })
}

// WithLimits adds limits that every request must be within: all are charged or
// none, in the same round trip. The default is none. It may be given several times.
// A limiter with several limits counts them apart from limiters with one limit, even
// if the names are the same. Use it for a short and a long period, such as 10 a second
// and 5,000 a day.
func WithLimits(limits ...Limit) Option {
	return optionFunc(func(c *config) { c.limits = append(c.limits, limits...) })
}

// WithDenyCache sets how many refusals that still hold are remembered, and for
// how long one is repeated before Redis is called again, because another
// instance may have reset the client. A client that floods costs at most one call
// per instance in that time. The defaults are 65,536 and 1s. Size 0 turns it off; a
// negative size, and a recheck of 0 or less, are mistakes. Use a longer recheck where
// floods are large and resets rare.
func WithDenyCache(size int, recheck time.Duration) Option {
	return optionFunc(func(c *config) { c.denySize, c.denyRecheck = size, recheck })
}

// WithEngine counts with another engine, such as a *redis_rate.Limiter; rdb may
// then be nil. An engine decides one bucket, and supports neither Block nor Reset. The
// default, also for nil, is the package's own exact script. Use it to keep the
// counters of redis_rate while you migrate.
func WithEngine(e Engine) Option { return optionFunc(func(c *config) { c.engine = e }) }

// WithHooks sets the observers; the last call replaces earlier ones. The default is
// none. Use it for metrics, see the adapter otelmetrics.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets a line when Redis becomes unavailable and
// when it is back, for mistakes, and once a minute for requests without a client
// address, which share one key. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithClock replaces the clock of the Redis server, for tests: the clocks of
// several instances disagree. The default, also for nil, is Redis' TIME.
func WithClock(now func() time.Time) Option { return optionFunc(func(c *config) { c.clock = now }) }
