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
// preference: the first one that a response has takes the place of Cache-Control. The
// default is CDN-Cache-Control; no field turns them off.
func WithTargets(fields ...string) Option {
	return optionFunc(func(c *config) {
		c.rules.Targets = nil // in the order given
		for _, field := range fields {
			c.rules.Targets = append(c.rules.Targets, textproto.CanonicalMIMEHeaderKey(field))
		}
	})
}

// WithHeuristicFreshness sets whether a response that has Last-Modified and says
// nothing about its lifetime is fresh for a tenth of its age, at most a day (RFC 9111,
// section 4.2.2), unless its request had a cookie. The default is true.
func WithHeuristicFreshness(on bool) Option {
	return optionFunc(func(c *config) { c.rules.Heuristic = on })
}

// WithDefaultTTL sets how long a successful response (200, 203, 204) is fresh that
// has neither Cache-Control nor Expires, from the handler or an outer middleware. It
// is not stored for requests with a cookie or with Authorization, nor served to them:
// let those handlers send public with a lifetime. The default is 0: such responses
// are not stored. Use it for routes whose handlers send no Cache-Control.
func WithDefaultTTL(d time.Duration) Option {
	return optionFunc(func(c *config) { c.rules.DefaultTTL = d })
}

// WithRetention sets how long a stale response with a validator is kept, to be
// validated with the handler. The default is 10m; 0 keeps none, and less is a
// mistake.
func WithRetention(d time.Duration) Option {
	return optionFunc(func(c *config) { c.rules.Retention = d })
}

// WithVary selects by these request fields as if each response varied by them.
// The default is none. Use it for handlers that do not send Vary.
func WithVary(fields ...string) Option {
	return optionFunc(func(c *config) { c.rules.Vary = canonical(fields) })
}

// WithVaryCookie sets whether responses that vary by Cookie are stored, one for
// each value of it. The default is false.
func WithVaryCookie(on bool) Option { return optionFunc(func(c *config) { c.rules.VaryCookie = on }) }

// WithVaryBy adds to the key what else a response depends on, such as a tenant.
// A purge of a URL concerns all of them. The default, also for nil, is nothing.
func WithVaryBy(value func(*http.Request) string) Option {
	return optionFunc(func(c *config) { c.varyBy = value })
}

// WithSkip bypasses the cache for requests for which skip returns true. The
// default, also for nil, is none.
func WithSkip(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithCompression sets whether stored bodies of text above 1 KiB and up to 64 KiB
// are compressed, if that saves a fifth. Clients do not see it. The default is
// false. Use it where Redis' memory or the network is scarce.
func WithCompression(on bool) Option { return optionFunc(func(c *config) { c.settings.Compress = on }) }

// WithCollapseTimeout sets how long a request that misses waits for another one
// that is making the same response, before it calls the handler itself. The default is
// 3s; 0 collapses nothing, and less is a mistake.
func WithCollapseTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.waitMax = d })
}

// WithEarlyRefresh refreshes fresh responses in the background before they
// expire, so that no client waits for the handler. beta 1 refreshes about one handler
// duration before expiry, a larger one earlier, 0 never; less is a mistake. Immutable
// responses are not refreshed early. The default is 1.
func WithEarlyRefresh(beta float64) Option { return optionFunc(func(c *config) { c.beta = beta }) }

// WithRefreshTimeout bounds a refresh in the background. The default is 30s; 0
// and less are mistakes.
func WithRefreshTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.RefreshTimeout = d })
}

// WithRefreshContext is for routers that recycle request-context values when a
// request ends, such as chi's route context: a refresh runs longer than its request
// and has the values of its context. f is called before the request ends and returns
// the context whose values the refresh has instead; the end of that context is
// ignored. The default, also for nil, is the context of the request. A cache in the
// Use of a chi router needs it; docs/cache.md has the function.
func WithRefreshContext(f func(context.Context) context.Context) Option {
	return optionFunc(func(c *config) { c.refreshContext = f })
}

// WithNearTier keeps up to that many bytes of small responses in the process,
// each for at most ttl after it was read from Redis: for that long a purge by another
// instance is not seen, while one by this instance is. The default is none, also for
// 0 bytes; ttl is above 0 and at most a minute.
func WithNearTier(bytes int64, ttl time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.NearBytes, c.settings.NearTTL = bytes, ttl })
}

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

func canonical(fields []string) []string {
	out := make([]string, len(fields))
	for i, field := range fields {
		out[i] = textproto.CanonicalMIMEHeaderKey(field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
