package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

const maxLogFields = 50_000

// Purge makes the stored responses of absolute URLs void, all variants, in one
// round trip each. When it has returned, no response is served whose handler
// was called before, but from the near tiers of other instances, for as long as
// [WithNearTier] says. The error joins those of all URLs.
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
		target, err := urlTarget(raw)
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

// PurgeTags makes void what carries one of these tags (Surrogate-Key,
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
		fields[i] = kind + digest(tag)
	}
	if err := c.mark(ctx, c.logs(), fields); err != nil {
		return wrapped("purge tags", err)
	}
	return nil
}

// PurgeAll makes every entry of this cache void, in one round trip to each
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
	c.gen.Add(1)
	c.stats.purges.Add(1)
	defer c.forgetNear(fields) // after: what was read meanwhile is dropped too
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.storeTimeout)
	defer cancel()
	args := []any{rand.Text(), c.logTTL().Milliseconds(), maxLogFields}
	for _, field := range fields {
		args = append(args, field)
	}
	if len(logs) == 1 {
		return c.purge.Run(ctx, c.caller, logs, args...).Err()
	}
	return c.markMany(ctx, logs, args)
}

// markMany runs the script for each log in one pipeline, on the masters that
// know it; where it is not known yet it is loaded first. A purge that is executed
// twice is one.
func (c *Cache) markMany(ctx context.Context, logs []string, args []any) error {
	for attempt := 0; ; attempt++ {
		hash := c.purge.Hash()
		if hash == "" || attempt > 0 {
			if err := c.purge.Load(ctx, c.caller).Err(); err != nil {
				return fmt.Errorf("load: %w", err)
			}
			hash = c.purge.Hash()
		}
		err := c.pipeline(ctx, func(p redis.Pipeliner) {
			for _, log := range logs {
				p.EvalSha(ctx, hash, []string{log}, args...)
			}
		})
		if attempt == 0 && redis.HasErrorPrefix(err, "NOSCRIPT") {
			continue
		}
		return err
	}
}

func (c *Cache) forgetNear(fields []string) {
	c.gen.Add(1)
	for _, field := range fields {
		if len(field) > 2 && field[:2] == "u:" && c.key == nil {
			c.near.forget(field[2:])
			continue
		}
		c.near.forget("")
		return
	}
	if len(fields) == 0 {
		c.near.forget("")
	}
}
