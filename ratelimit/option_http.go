package ratelimit

import (
	"net/http"
	"time"
)

// WithKey sets the key that a request is counted against, and functions to call in
// order when the ones before return an error or "". A request for which all of them do
// gets 500. The default is [ByIP] with nil, the connection's address, which trusts no
// header; a nil function is a mistake. Use ByIP with a resolver behind proxies, and
// a function of your own for API keys and users:
//
//	ratelimit.WithKey(byAPIKey, ratelimit.ByIP(nil))
func WithKey(key KeyFunc, fallbacks ...KeyFunc) Option {
	return optionFunc(func(c *config) { c.keys = append([]KeyFunc{key}, fallbacks...) })
}

// WithLimitsFunc sets limits by request: the tier of a customer, the route, the
// method. They take the place of New's limit; those of [WithLimits] apply too. A
// request without any is admitted uncounted. There may be up to 1,024 different
// sets, so derive limits from your tiers and not from what clients send; a request
// with a further set, or with limits that are mistakes, gets 500. The default, also
// for nil, is the same limits for all requests.
//
// [Limiter.Allow] and the other methods then need the limits as arguments, unless
// [WithLimits] adds some that all requests have; without arguments they are about
// those alone.
func WithLimitsFunc(limits func(*http.Request) []Limit) Option {
	return optionFunc(func(c *config) { c.limitsFunc = limits })
}

// WithCost sets what a request costs. A request that costs 0 is admitted and not
// counted; a negative cost, or a panic, gets 500. The default, also for nil, is 1. Use
// it where some requests are more expensive than others, such as searches.
func WithCost(cost func(*http.Request) int) Option {
	return optionFunc(func(c *config) { c.cost = cost })
}

// WithRefund sets how much is given back after the handler has returned: 0 and
// less nothing, the cost or more all of it. A panic counts as status 500. The default,
// also for nil, is nothing. Use it with [RefundStatus] to count failed logins only.
func WithRefund(refund func(status int, r *http.Request) int) Option {
	return optionFunc(func(c *config) { c.refund = refund })
}

// RefundStatus returns a function for [WithRefund] that gives back what a request
// cost if its status is within lowest and highest. RefundStatus(100, 399) counts only
// failures, such as failed logins; RefundStatus(400, 599) counts only requests that
// succeeded.
func RefundStatus(lowest, highest int) func(status int, r *http.Request) int {
	return func(status int, _ *http.Request) int {
		if status >= lowest && status <= highest {
			return 1<<31 - 1 // at most what was charged is given back
		}
		return 0
	}
}

// WithSkip exempts requests for which skip returns true: they are not counted.
// The default, also for nil, is none. Use it for health checks, preflights and your
// own networks, see [clientip.Resolver.Within].
func WithSkip(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithShadow decides, charges and calls the hooks, but rejects no request and
// sends no headers. The default is false. Use it to try a limit on real traffic.
func WithShadow(on bool) Option { return optionFunc(func(c *config) { c.shadow = on }) }

// WithDelay delays, instead of rejecting, a request that would be admitted
// within longest, for at most waiting requests at a time. The default, also for
// longest 0, is no delay; negative durations, and fewer than one request, are
// mistakes. Use it to smooth the bursts of your own clients.
func WithDelay(longest time.Duration, waiting int) Option {
	return optionFunc(func(c *config) { c.delay = &delay{longest, waiting} })
}

// WithHeaders sets which headers tell clients about their limits. The default is the
// zero [Headers]: RateLimit and RateLimit-Policy with every counted response.
func WithHeaders(h Headers) Option { return optionFunc(func(c *config) { c.headers = h }) }

// WithPrefetch sets whether the session and the response cache that are directly
// inside of the limiter's [Limiter.Handler] are read in its round trip, before it
// is known whether the request is admitted. The default is true. A foreign
// middleware in between ends it, and so does a limiter that does not call Redis.
// Turn it off to see each middleware's own round trips in a trace, or where most
// requests are rejected by limits that are too high for the deny cache.
func WithPrefetch(on bool) Option { return optionFunc(func(c *config) { c.prefetch = on }) }

// WithDenyHandler sets the response to requests that are rejected with 429 or
// 503. Retry-After, Cache-Control and the RateLimit headers are set before;
// [FromContext] has the decision, and Unavailable tells 503 from 429. The handler
// writes the status and the body. The default, also for nil, is
// application/problem+json (RFC 9457). Use it for an HTML page, or a body in your
// API's own format.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }
