package cache

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/setting"
)

// WithTargets sets the targeted fields (RFC 9213) of this cache, in order of
// preference: the first one that a response has takes the place of
// Cache-Control. The default is CDN-Cache-Control; no field turns them off, and
// a name that cannot be a field is a mistake. Use it to give this cache another
// lifetime than browsers, or than a CDN before it.
func WithTargets(fields ...string) Option {
	return optionFunc(func(c *config) {
		c.rules.Targets = nil // in the order given
		for _, field := range fields {
			c.rules.Targets = append(c.rules.Targets, textproto.CanonicalMIMEHeaderKey(field))
		}
	})
}

// WithHeuristicFreshness sets whether a response that has Last-Modified and
// says nothing about its lifetime is fresh for a tenth of its age, at most a
// day (RFC 9111, section 4.2.2), unless its request had a cookie. The default
// is true. Turn it off where handlers send Last-Modified for pages that change
// at any time.
func WithHeuristicFreshness(on bool) Option {
	return optionFunc(func(c *config) { c.rules.Heuristic = on })
}

// WithDefaultTTL sets how long a successful response (200, 203, 204) is fresh
// that has neither Cache-Control nor Expires, from the handler or an outer
// middleware. It is not stored for requests with a cookie or with
// Authorization, nor served to them: let those handlers send public with a
// lifetime. The default is 0: such responses are not stored; less is a mistake.
// Use it for routes whose handlers send no Cache-Control.
func WithDefaultTTL(d time.Duration) Option {
	return optionFunc(func(c *config) { c.rules.DefaultTTL = d })
}

// WithRetention sets how long a stale response with a validator is kept, to be
// validated with the handler. The default is 10m; 0 keeps none, and less is a
// mistake. Raise it where a 304 is much cheaper for the handler than a 200.
func WithRetention(d time.Duration) Option {
	return optionFunc(func(c *config) { c.rules.Retention = d })
}

// WithVary selects by these request fields as if each response varied by them.
// The default is none; "*" and a name that cannot be a field are mistakes. Use
// it for handlers that do not send Vary. Each value that clients send makes a
// variant, see [WithMaxVariants].
func WithVary(fields ...string) Option {
	return optionFunc(func(c *config) { c.rules.Vary = canonical(fields) })
}

// WithVaryCookie sets whether responses that vary by Cookie are stored, one for
// each value of it. The default is false. Use it only where the field has few
// values, and none that identifies a user.
func WithVaryCookie(on bool) Option { return optionFunc(func(c *config) { c.rules.VaryCookie = on }) }

// WithVaryBy adds to the key what else a response depends on, such as a tenant.
// A purge of a URL concerns all of them. The default, also for nil, is nothing.
// value is called for each request, on its goroutine. Use it for what no
// request field says, or what is only a part of one.
func WithVaryBy(value func(*http.Request) string) Option {
	return optionFunc(func(c *config) { c.varyBy = value })
}

// WithPrefetch sets whether the look-up is made in the round trip of a session or a
// limiter directly around the cache, before it is known whether the request gets
// here. The functions of [WithSkip], [WithVaryBy] and [WithScheme] are then called
// twice for a request, the first time with the context that the outermost of these
// middlewares got; if the key is another one at the cache's turn, or if a function
// panics, the look-up is made again as without. The default is true. Turn it off
// to see each round trip by itself in a trace.
func WithPrefetch(on bool) Option { return optionFunc(func(c *config) { c.prefetch = on }) }

// WithSkip bypasses the cache for requests for which skip returns true: the
// handler is called, and nothing is stored; Cache-Status has fwd=bypass. The
// default, also for nil, is none. Use it for areas where handlers send wrong
// fields. An unsafe request still invalidates.
func WithSkip(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithCompression sets whether stored bodies of text above 1 KiB and up to 64
// KiB are compressed, if that saves a fifth. Clients do not see it. The default
// is false. Use it where Redis' memory or the network is scarce; it costs
// processor time for each miss and hit.
func WithCompression(on bool) Option { return optionFunc(func(c *config) { c.settings.Compress = on }) }

// WithCollapseTimeout sets how long a request that misses waits for another one
// that is making the same response, before it calls the handler itself. The
// default is 3s; 0 turns waiting off, and less is a mistake. Raise it where the
// handler is slower than that and must not be called concurrently.
func WithCollapseTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.waitMax = d })
}

// WithEarlyRefresh refreshes fresh responses in the background before they
// expire, so that no client waits for the handler. beta 1 refreshes about one
// handler duration before expiry, a larger one earlier, 0 never; less is a
// mistake. Immutable responses are not refreshed early. The default is 1. Set 0
// where each call of the handler costs money.
func WithEarlyRefresh(beta float64) Option { return optionFunc(func(c *config) { c.beta = beta }) }

// WithRefreshTimeout limits a refresh in the background: its context ends then.
// The default is 30s; 0 and less are mistakes. Raise it where the handler takes
// longer.
func WithRefreshTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.RefreshTimeout = d })
}

// WithRefreshContext is for routers that recycle request-context values when a
// request ends, such as chi's route context: a refresh runs longer than its
// request and has the values of its context. f is called before the request
// ends and returns the context whose values the refresh has instead; the end of
// that context is ignored. The default, also for nil, is the context of the
// request. A cache in the Use of a chi router needs it; docs/cache.md has the
// function.
func WithRefreshContext(f func(context.Context) context.Context) Option {
	return optionFunc(func(c *config) { c.refreshContext = f })
}

// WithNearTier keeps up to that many bytes of small responses in the process,
// each for at most ttl after it was read from Redis. A hit there costs no round
// trip. For that long a purge by another instance has no effect here, while one
// by this instance has it at once. The default is none, also for 0 bytes; less
// is a mistake, and so is a ttl that is not above 0 and at most a minute. Use
// it for few pages with very many requests, with a ttl of about a second.
func WithNearTier(bytes int64, ttl time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.NearBytes, c.settings.NearTTL = bytes, ttl })
}

// checkHTTP checks the options of this file.
func (c *config) checkHTTP(check *setting.Check) {
	valid := func(names []string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !rules.ValidToken.MatchString(name) })
	}
	check.That(valid(c.rules.Targets), "WithTargets", "is not a field name")
	check.That(valid(c.rules.Vary), "WithVary", "is not a field name")
	check.That(!slices.Contains(c.rules.Vary, "*"), "WithVary", "* selects nothing")
	check.That(c.rules.DefaultTTL >= 0, "WithDefaultTTL", "is below 0")
	check.That(c.rules.Retention >= 0, "WithRetention", "is below 0")
	check.That(c.waitMax >= 0, "WithCollapseTimeout", "is below 0")
	check.That(c.beta >= 0, "WithEarlyRefresh", "is below 0")
	check.That(c.settings.RefreshTimeout > 0, "WithRefreshTimeout", "is not above 0")
	check.That(c.settings.NearBytes >= 0 && (c.settings.NearBytes == 0 || c.settings.NearTTL > 0 && c.settings.NearTTL <= time.Minute), "WithNearTier", "needs bytes above 0 and a time within 0 and a minute")
}

// canonical returns field names in their canonical form, sorted, each once.
func canonical(fields []string) []string {
	out := make([]string, len(fields))
	for i, field := range fields {
		out[i] = textproto.CanonicalMIMEHeaderKey(field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
