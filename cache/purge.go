package cache

import (
	"context"
	"errors"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// Purge invalidates the stored responses of absolute URLs, all variants, in one
// round trip each. When it has returned, no response is served whose handler
// was called before, except from the near tiers of other instances, for as long
// as [WithNearTier] says. A URL that is not stored is no error.
//
// http and https of a URL are purged together, because behind a proxy that ends
// TLS requests for https arrive as http; the case of the host, a default port,
// a trailing dot and percent-encoding make no difference. A host is given in
// ASCII (xn--…).
//
// The error joins those of all URLs: it matches [ErrUnavailable] or
// [ErrUnconfirmed], and does not contain a URL. After ErrUnavailable purge
// again, because old responses may still be served.
func (c *Cache) Purge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, urls, false)
}

// SoftPurge makes the stored responses of absolute URLs stale: they are
// validated before they are used, or served while they are refreshed if they
// have stale-while-revalidate. Use it where many clients would otherwise wait
// for a slow handler. URLs and errors are as for [Cache.Purge].
func (c *Cache) SoftPurge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, urls, true)
}

// purgeURLs purges each URL, also after one has failed.
func (c *Cache) purgeURLs(ctx context.Context, urls []string, soft bool) error {
	var errs []error
	for _, raw := range urls {
		target, err := cachekey.ParseURL(raw)
		if err == nil {
			p := c.store.Place(target, "")
			err = c.store.Purge(ctx, p.Mark(soft))
		}
		if err != nil {
			errs = append(errs, store.Wrap("purge", err)) // the URL may hold a secret
		}
	}
	return errors.Join(errs...)
}

// PurgeTags invalidates what carries one of these tags (Surrogate-Key,
// Cache-Tag, Cache-Groups of RFC 9875), however many responses that are, in one
// round trip to each node. No tags are no error. Errors are as for
// [Cache.Purge]; after one, some nodes may have the purge.
func (c *Cache) PurgeTags(ctx context.Context, tags ...string) error {
	return c.purgeTags(ctx, tags, false)
}

// SoftPurgeTags makes what carries one of these tags stale, see [Cache.SoftPurge].
func (c *Cache) SoftPurgeTags(ctx context.Context, tags ...string) error {
	return c.purgeTags(ctx, tags, true)
}

func (c *Cache) purgeTags(ctx context.Context, tags []string, soft bool) error {
	if len(tags) == 0 {
		return nil
	}
	if err := c.store.Purge(ctx, c.store.Tagged(tags, soft)); err != nil {
		return store.Wrap("purge tags", err)
	}
	return nil
}

// PurgeAll invalidates every entry of this cache, in one round trip to each
// node. Other keys in the same Redis are not changed, and the memory is freed
// as the entries expire. Use it after a deployment that changes all pages.
// Errors are as for [Cache.PurgeTags].
func (c *Cache) PurgeAll(ctx context.Context) error {
	if err := c.store.Purge(ctx, c.store.Everything()); err != nil {
		return store.Wrap("purge all", err)
	}
	return nil
}
