package ratelimit

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// WithKey sets what is limited. The default is [RemoteAddr], which trusts no
// header; nil is a mistake. Use [ByIP] behind proxies, and a function of your own
// for API keys and users.
func WithKey(key KeyFunc) Option { return optionFunc(func(c *config) { c.key = key }) }

// WithKeyFallback sets the key function to use when the first fails or returns
// "". The default, also for nil, is none: such a request gets 500. Use
// [RemoteAddr] for requests without an API key.
func WithKeyFallback(key KeyFunc) Option { return optionFunc(func(c *config) { c.fallback = key }) }

// WithLimitsFunc sets limits by request: the tier of a customer, the route, the
// method. They take the place of New's limit; those of [WithLimits] apply too. A
// request without any is admitted uncounted. There may be up to 1,024 different
// sets, so make limits of your tiers and not of what clients send. The default,
// also for nil, is the same limits for all.
//
// [Limiter.Allow] and its kin then need the limits as arguments, unless
// [WithLimits] adds some that all requests have; they are about those alone.
func WithLimitsFunc(limits func(*http.Request) []Limit) Option {
	return optionFunc(func(c *config) { c.limitsFunc = limits })
}

// WithCost sets what a request costs. 0 is free and not counted; a negative
// cost, or a panic, gets 500. The default, also for nil, is 1.
func WithCost(cost func(*http.Request) int) Option {
	return optionFunc(func(c *config) { c.cost = cost })
}

// WithRefund sets what is given back after the handler has returned, from 0 up
// to the cost. A panic counts as status 500. The default, also for nil, is
// nothing. Use [SkipSuccessful] to limit failed logins only.
func WithRefund(refund func(status int, r *http.Request) int) Option {
	return optionFunc(func(c *config) { c.refund = refund })
}

// WithSkip exempts requests for which skip returns true: they are not counted.
// The default, also for nil, is none. Use it for health checks, preflights and your
// own networks, see [clientip.Resolver.Within].
func WithSkip(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithDenyList rejects requests for which deny returns true with 403, without a
// call to Redis. The default, also for nil, is none. See
// [clientip.Resolver.Within].
func WithDenyList(deny func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.denyList = deny })
}

// WithShadow decides, charges and calls the hooks, but rejects no request and
// sends no headers. The default is false. Use it to try a limit on real traffic.
func WithShadow(on bool) Option { return optionFunc(func(c *config) { c.shadow = on }) }

type delay struct {
	longest time.Duration
	waiting int
}

// WithDelay delays, instead of rejecting, a request that would be admitted
// within longest, for at most waiting requests at a time. The default, also for
// longest 0, is none; negative durations, and fewer than one request, are
// mistakes. Use it to smooth the bursts of your own clients.
func WithDelay(longest time.Duration, waiting int) Option {
	return optionFunc(func(c *config) { c.delay = &delay{longest, waiting} })
}

// WithHeaders sets on which responses RateLimit headers are sent. The default is
// [HeadersAlways].
func WithHeaders(mode HeaderMode) Option { return optionFunc(func(c *config) { c.headers = mode }) }

type legacy struct{ epoch bool }

// WithLegacyHeaders adds X-RateLimit-Limit, -Remaining and -Reset, of the most
// restrictive policy. Reset is the number of seconds until the bucket is full, or
// with epoch that moment as seconds since 1970. The default is none. Use it for
// clients that know only these.
func WithLegacyHeaders(epoch bool) Option {
	return optionFunc(func(c *config) { c.legacy = &legacy{epoch} })
}

// WithPartitionKey adds the parameter pk of the draft to the headers: the
// client's key as 12 bytes of HMAC-SHA-256 under this secret of at least 16 bytes.
// The default, also for nil, is none. Use it where clients share an address and
// must tell whose quota it is.
func WithPartitionKey(secret []byte) Option {
	return optionFunc(func(c *config) { c.partitionKey = secret })
}

// WithDenyHandler sets the response to requests that are rejected with 429 or
// 503. Retry-After, Cache-Control and the RateLimit headers are set before;
// [FromContext] has the decision. The default, also for nil, is
// application/problem+json (RFC 9457).
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

func (c *responding) validate(check *setting.Check) {
	if c.delay != nil {
		check.That(c.delay.longest >= 0, "WithDelay", "%v is below 0", c.delay.longest)
		check.That(c.delay.waiting > 0, "WithDelay", "%d requests may wait, want above 0", c.delay.waiting)
	}
	check.That(c.headers <= HeadersOff, "WithHeaders", "is unknown")
	check.That(c.partitionKey == nil || len(c.partitionKey) >= 16, "WithPartitionKey", "the secret has less than 16 bytes")
}
