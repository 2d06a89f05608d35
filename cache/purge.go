package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/internal/bounded"
)

const maxLogFields = 50_000

// Purge invalidates the stored responses of absolute URLs, all variants, in one
// round trip each. When it has returned, no response is served whose handler
// was called before, except from the near tiers of other instances, for as long as
// [WithNearTier] says. http and https of a URL are purged together, because
// behind a proxy that ends TLS requests for https arrive as http; the case of the
// host, a default port, a trailing dot and percent-encoding make no difference. A
// host is given in ASCII (xn--…). The error joins those of all URLs.
func (c *Cache) Purge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, "u:", urls)
}

// SoftPurge makes the stored responses of absolute URLs stale: they are
// validated before they are used, or served while they are refreshed if they
// allow that.
func (c *Cache) SoftPurge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, "su:", urls)
}

func (c *Cache) purgeURLs(ctx context.Context, kind string, urls []string) error {
	var errs []error
	for _, raw := range urls {
		target, err := cachekey.ParseURL(raw)
		if err == nil {
			p := c.place(target, "")
			err = c.mark(ctx, []string{p.log}, []string{kind + p.url})
		}
		if err != nil {
			errs = append(errs, wrapped("purge", err)) // the URL may hold a secret
		}
	}
	return errors.Join(errs...)
}

// PurgeTags invalidates what carries one of these tags (Surrogate-Key,
// Cache-Tag, Cache-Groups of RFC 9875), however many responses that are, in one
// round trip to each node.
func (c *Cache) PurgeTags(ctx context.Context, tags ...string) error {
	return c.purgeTags(ctx, "t:", tags)
}

// SoftPurgeTags makes what carries one of these tags stale, see [Cache.SoftPurge].
func (c *Cache) SoftPurgeTags(ctx context.Context, tags ...string) error {
	return c.purgeTags(ctx, "st:", tags)
}

func (c *Cache) purgeTags(ctx context.Context, kind string, tags []string) error {
	if len(tags) == 0 {
		return nil
	}
	fields := make([]string, len(tags))
	for i, tag := range tags {
		fields[i] = kind + cachekey.Digest(tag)
	}
	if err := c.mark(ctx, c.logs(), fields); err != nil {
		return wrapped("purge tags", err)
	}
	return nil
}

// PurgeAll invalidates every entry of this cache, in one round trip to each
// node. Other keys in the same Redis are not touched.
func (c *Cache) PurgeAll(ctx context.Context) error {
	if err := c.mark(ctx, c.logs(), nil); err != nil {
		return wrapped("purge all", err)
	}
	return nil
}

func (c *Cache) logs() []string {
	logs := make([]string, len(c.bases))
	for n := range logs {
		logs[n] = c.bases[n].log
	}
	return logs
}

// mark writes to purge logs. It goes on when the client has gone: the change
// it follows has happened.
func (c *Cache) mark(ctx context.Context, logs, fields []string) error {
	_, err := c.markEach(ctx, logs, fields)
	return err
}

// markEach is mark with the error of each log.
func (c *Cache) markEach(ctx context.Context, logs, fields []string) (map[string]error, error) {
	c.gen.Add(1)
	c.stats.purges.Add(1)
	defer c.forgetNear(fields) // after: what was read before that is dropped too
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.storeTimeout)
	defer cancel()
	args := []any{rand.Text(), c.logTTL().Milliseconds(), maxLogFields}
	for _, field := range fields {
		args = append(args, field)
	}
	errs, err := c.markNow(ctx, logs, args)
	if err != nil {
		c.nudge(ctx)
		return errs, err
	}
	return errs, c.confirm(ctx, logs)
}

func (c *Cache) markNow(ctx context.Context, logs []string, args []any) (map[string]error, error) {
	if len(logs) == 1 {
		_, err := c.run(ctx, &c.purge, logs, args...)
		return map[string]error{logs[0]: err}, err
	}
	return c.markMany(ctx, logs, args)
}

// markMany runs the script for each log in one pipeline, by its hash; where it
// is not known, in a second one that brings it. A node that is away holds up no
// other. A purge that is executed twice is one.
func (c *Cache) markMany(ctx context.Context, logs []string, args []any) (map[string]error, error) {
	hash := c.purge.hash.Load()
	errs, unknown := map[string]error{}, logs
	if hash != nil {
		errs = c.markPipelined(ctx, logs, func(p redis.Pipeliner, log string) *redis.Cmd {
			return p.EvalSha(ctx, *hash, []string{log}, args...)
		})
		unknown = slices.DeleteFunc(slices.Clone(logs), func(log string) bool { return !redis.HasErrorPrefix(errs[log], "NOSCRIPT") })
	}
	if len(unknown) > 0 {
		maps.Copy(errs, c.markPipelined(ctx, unknown, func(p redis.Pipeliner, log string) *redis.Cmd {
			return p.Eval(ctx, purgeSource, []string{log}, args...)
		}))
	}
	for _, log := range logs {
		if errs[log] != nil {
			return errs, errs[log]
		}
	}
	if hash == nil {
		c.learn(ctx, &c.purge, logs[0])
	}
	return errs, nil
}

// markPipelined returns the error of each log, nil if it is written.
func (c *Cache) markPipelined(ctx context.Context, logs []string, mark func(p redis.Pipeliner, log string) *redis.Cmd) map[string]error {
	cmds := make([]redis.Cmder, len(logs))
	err := c.pipeline(ctx, func(p redis.Pipeliner) {
		for i, log := range logs {
			cmds[i] = mark(p, log)
		}
	})
	errs := make(map[string]error, len(logs))
	lost := errors.Is(err, bounded.ErrAbandoned) || err != nil && bounded.Unmarked(cmds) // nothing may be read, or nothing was sent
	for i, log := range logs {
		if errs[log] = err; !lost {
			errs[log] = cmds[i].Err()
		}
	}
	return errs
}

func (c *Cache) forgetNear(fields []string) {
	c.gen.Add(1)
	for _, field := range fields {
		url, ok := strings.CutPrefix(strings.TrimPrefix(field, "s"), "u:")
		if !ok { // a tag
			c.near.forget("")
			return
		}
		c.near.forget(url)
	}
	if len(fields) == 0 {
		c.near.forget("")
	}
}
