package cache

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"time"
)

// WithTargets lists the fields whose directives, if a response has one, hold
// for this cache in place of Cache-Control, the first first (RFC 9213). The
// default is CDN-Cache-Control.
func WithTargets(fields ...string) Option {
	return optionFunc(func(c *config) {
		c.targets = nil // in the order given
		for _, field := range fields {
			c.targets = append(c.targets, textproto.CanonicalMIMEHeaderKey(field))
		}
	})
}

// WithHeuristicFreshness(false) stores nothing that does not say how long it
// is fresh. Otherwise a response with Last-Modified is fresh for a tenth of its
// age, at most a day (RFC 9111, section 4.2.2), unless its request had a
// cookie. The default is true.
func WithHeuristicFreshness(on bool) Option {
	return optionFunc(func(c *config) { c.heuristic = on })
}

// WithDefaultTTL is how long a successful response (200, 203, 204) is fresh that has
// neither Cache-Control nor Expires, from the handler or around the cache. Set it
// for routes whose handlers send none. Such responses are neither stored for
// requests with a cookie or with Authorization nor served to them: let those
// handlers send public with a lifetime. The default is 0: such responses are not stored.
func WithDefaultTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.defaultTTL = d }) }

// WithKeep is how long a stale response with a validator stays, to be
// validated. The default is 10m.
func WithKeep(d time.Duration) Option { return optionFunc(func(c *config) { c.keep = d }) }

// WithVary selects by these request fields as if each response varied by them,
// for handlers that do not say so. The default is none.
func WithVary(fields ...string) Option {
	return optionFunc(func(c *config) { c.vary = canonical(fields) })
}

// WithVaryCookie(true) stores responses that vary by Cookie, one for each value
// of it. The default is false.
func WithVaryCookie(on bool) Option { return optionFunc(func(c *config) { c.varyCookie = on }) }

// WithKey adds to the key what else a response depends on, a tenant for
// example. A purge of a URL concerns all of them. The default is nothing.
func WithKey(key func(*http.Request) string) Option {
	return optionFunc(func(c *config) { c.key = key })
}

// WithBypass has the cache leave requests alone for which it reports true. The
// default is none.
func WithBypass(skip func(*http.Request) bool) Option {
	return optionFunc(func(c *config) { c.skip = skip })
}

// WithCompression(true) compresses stored bodies of text above 1 KiB and up to
// 64 KiB, if that saves a fifth. Clients do not see it. The default is false.
func WithCompression(on bool) Option { return optionFunc(func(c *config) { c.compress = on }) }

// WithCollapseTimeout is how long a request that misses waits for another that
// is making the same response, before it calls the handler itself. 0 collapses
// nothing. The default is 3s.
func WithCollapseTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.waitMax = d })
}

// WithEarlyRefresh refreshes fresh responses in the background before they are
// stale, so that nobody waits: with beta 1 about as early as the handler takes, with more
// earlier, with 0 never. Responses that are immutable are left alone. The default is 1.
func WithEarlyRefresh(beta float64) Option { return optionFunc(func(c *config) { c.beta = beta }) }

// WithRefreshTimeout bounds a refresh in the background. The default is 30s.
func WithRefreshTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.refreshTimeout = d })
}

// WithRefreshContext is for routers that take something in the context of a
// request back when the request ends, to use it for another. A refresh takes
// longer, and has the values of that context. f is called before the request
// ends and returns the context whose values the refresh has instead; the end of
// that context is ignored. A cache in the Use of a chi router needs it, for
// chi's route context; docs/cache.md has the function. The default is the
// context of the request.
func WithRefreshContext(f func(context.Context) context.Context) Option {
	return optionFunc(func(c *config) { c.refreshContext = f })
}

// WithNearTier keeps up to so many bytes of small responses in the process,
// each for at most ttl after Redis was asked: for that long a purge by another
// instance is not seen. The default is no near tier.
func WithNearTier(bytes int64, ttl time.Duration) Option {
	return optionFunc(func(c *config) { c.nearBytes, c.nearTTL = bytes, ttl })
}

func (c *config) checkMore(check func(ok bool, option, reason string)) {
	valid := func(names []string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !validToken.MatchString(name) })
	}
	check(valid(c.targets), "WithTargets", "is not a field name")
	check(valid(c.vary), "WithVary", "is not a field name")
	check(!slices.Contains(c.vary, "*"), "WithVary", "* selects nothing")
	check(c.defaultTTL >= 0, "WithDefaultTTL", "is below 0")
	check(c.keep >= 0, "WithKeep", "is below 0")
	check(c.waitMax >= 0, "WithCollapseTimeout", "is below 0")
	check(c.beta >= 0, "WithEarlyRefresh", "is below 0")
	check(c.refreshTimeout > 0, "WithRefreshTimeout", "is not above 0")
	check(c.nearBytes >= 0 && (c.nearBytes == 0 || c.nearTTL > 0 && c.nearTTL <= time.Minute), "WithNearTier", "needs bytes above 0 and a time within 0 and a minute")
}

func canonical(fields []string) []string {
	out := make([]string, len(fields))
	for i, field := range fields {
		out[i] = textproto.CanonicalMIMEHeaderKey(field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
