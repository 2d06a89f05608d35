package ratelimit

import (
	"fmt"
	"net/http"
	"time"
)

// requests are the options of [Limiter.Handler].
type requests struct {
	cost            func(*http.Request) int64
	refund          func(status int, r *http.Request) int64
	skip, denyList  func(*http.Request) bool
	shadow          bool
	shadowHeaders   bool
	maxDelay        time.Duration
	maxWaiting      int
	headers         HeaderMode
	legacy          LegacyHeaders
	partitionSecret []byte
	deny            http.Handler

	plain bool // nothing of this is set that a repeated refusal would miss
}

// WithLimitsFunc sets limits by request: the tier of a customer, the route, the
// method. They take the place of New's limit; those of [WithLimits] apply
// besides, and are all that [Limiter.Allow], Peek, Charge, Refund, Enter, Block and
// Keys know; [Limiter.AllowLimits], BlockLimits and ResetLimits take limits. A request without any passes uncounted. There may be up to 1,024
// different sets, so make limits of your tiers and not of what clients send.
// The default is the same limits for all.
func WithLimitsFunc(limits func(*http.Request) []Limit) Option {
	return optionFunc(func(c *config) { c.limitsFunc = limits })
}

// WithCost sets what a request costs. 0 is free and not counted; below 0, or a
// panic, is answered 500. The default is 1.
func WithCost(cost func(*http.Request) int64) Option {
	return optionFunc(func(c *config) { c.cost = cost })
}

// WithRefund gives back, when the handler has returned, what it says, from 0 up
// to the cost: see [SkipSuccessful] and [SkipFailed]. A panic counts as status
// 500. The default is nothing.
func WithRefund(refund func(status int, r *http.Request) int64) Option {
	return optionFunc(func(c *config) { c.refund = refund })
}

// WithSkip lets requests pass uncounted: health checks, preflights, networks of
// one's own (see [Networks]). The default is none.
func WithSkip(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithDenyList answers requests 403, without asking Redis; see [Networks]. The
// default is none.
func WithDenyList(deny func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.denyList = deny })
}

// WithShadow decides and charges, and tells the hooks, but refuses nobody: to
// try a limit on real traffic. Headers are sent only when asked for. The
// default is false.
func WithShadow(shadow, headers bool) Option {
	return optionFunc(func(c *config) { c.shadow, c.shadowHeaders = shadow, headers })
}

// WithDelay holds a request back that would be admitted within longest,
// instead of refusing it; at most waiting requests at a time, further ones are
// refused. The default is 0: nobody waits.
func WithDelay(longest time.Duration, waiting int) Option {
	return optionFunc(func(c *config) { c.maxDelay, c.maxWaiting = longest, waiting })
}

// WithHeaders says when RateLimit headers are sent. The default is
// [HeadersAlways].
func WithHeaders(mode HeaderMode) Option { return optionFunc(func(c *config) { c.headers = mode }) }

// WithLegacyHeaders sends X-RateLimit-Limit, -Remaining and -Reset besides, of
// the most restrictive policy. The default is [LegacyOff].
func WithLegacyHeaders(l LegacyHeaders) Option { return optionFunc(func(c *config) { c.legacy = l }) }

// WithPartitionKey adds the draft's pk parameter: the client's key as 12 bytes
// of HMAC-SHA-256 under this secret. The default is none.
func WithPartitionKey(secret []byte) Option {
	return optionFunc(func(c *config) { c.partitionSecret = secret })
}

// WithDenyHandler replaces the body of a refusal. Headers are set already;
// [FromContext] has the decision. The default is application/problem+json.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

func (c *requests) validate(check func(ok bool, option, reason string), hooks Hooks) {
	check(c.maxDelay >= 0, "WithDelay", fmt.Sprintf("%v is below 0", c.maxDelay))
	check(c.maxWaiting > 0, "WithDelay", fmt.Sprintf("%d requests may wait, want above 0", c.maxWaiting))
	check(c.headers <= HeadersOff, "WithHeaders", "is unknown")
	check(c.legacy <= LegacyEpoch, "WithLegacyHeaders", "is unknown")
	check(c.partitionSecret == nil || len(c.partitionSecret) >= 16, "WithPartitionKey", "the secret has less than 16 bytes")
	c.plain = c.refund == nil && !c.shadow && c.maxDelay == 0 && c.headers == HeadersAlways && c.legacy == LegacyOff &&
		c.partitionSecret == nil && c.deny == nil && hooks.Decided == nil
}
