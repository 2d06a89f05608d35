package cache

import (
	"log/slog"
	"time"
)

// WithName tells caches apart that share a Redis; caches of one name share
// their entries. It matches [A-Za-z0-9._-]{1,64}; "" is a mistake. The default
// is "default". Use it for applications whose URLs mean different things.
func WithName(name string) Option { return optionFunc(func(c *config) { c.settings.Name = name }) }

// WithKeyPrefix sets the first part of every Redis key: <prefix>:v2:<name>:….
// The default is "cache"; it must not be empty or have braces. Use it to match
// the key patterns of an ACL.
func WithKeyPrefix(prefix string) Option {
	return optionFunc(func(c *config) { c.settings.Prefix = prefix })
}

// WithIdentifier sets the name of this cache in Cache-Status, a token (RFC 9211,
// section 2). The default is "redishttp". Use it where a CDN or another cache in
// the chain sends the field too.
func WithIdentifier(id string) Option { return optionFunc(func(c *config) { c.identifier = id }) }

// WithTimeouts sets the deadline of each call to Redis: read for a lookup,
// write for a fill or a purge. The defaults are 50ms and 1s; 0 and less are
// mistakes. A request waits no longer than read before the handler is called,
// so keep it below what the handler takes.
func WithTimeouts(read, write time.Duration) Option {
	return optionFunc(func(c *config) { c.settings.ReadTimeout, c.settings.WriteTimeout = read, write })
}

// WithMaxBody limits a stored body, in bytes; a larger one is sent and not
// stored. The default is 8 MiB; 0 and less are mistakes. Raise it for
// downloads: bodies are stored in pieces of 256 KiB, so large ones need no
// memory in this process.
func WithMaxBody(n int64) Option { return optionFunc(func(c *config) { c.rules.MaxBody = n }) }

// WithMaxTTL limits how long an entry is fresh, and how long it may be served
// stale, whatever the response says. The default is 24h; less than 1s is a
// mistake. Lower it where responses cannot be purged and handlers send long
// lifetimes.
func WithMaxTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.rules.MaxTTL = d }) }

// WithBuckets spreads the entries over n slots of a cluster, at most 4096; less
// than 1 is a mistake. All instances must agree, or they do not share entries.
// The default is 1 for a client of one server or sentinel group, and 64 for any
// other. A purge of a tag or of everything writes to each bucket. Raise it for
// clusters with many masters.
func WithBuckets(n int) Option { return optionFunc(func(c *config) { c.settings.Buckets = n }) }

// WithHooks sets functions that are called for each request and each failure,
// for metrics. The default is none; the last WithHooks replaces those before.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets a line when Redis becomes unavailable and
// when it is back, and for mistakes. The default discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }
