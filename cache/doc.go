// Package cache is a shared response cache after RFC 9111, kept in Redis and
// therefore common to all instances of a service.
//
//	responses, err := cache.New(rdb)
//	if err != nil { … }
//	defer responses.Close(ctx)
//	handler = responses.Handler(handler)
//
// # What it stores
//
// Responses to GET that say how long they are fresh (s-maxage, max-age,
// Expires, or CDN-Cache-Control of RFC 9213 in their place), those with
// Last-Modified for a tenth of their age, and those with a validator to be
// validated. Never: private, no-store, Set-Cookie, Vary with *, Cookie or Authorization, partial or
// aborted responses, answers to requests with a body, answers to requests with
// Authorization unless public, s-maxage or must-revalidate says so, bodies above 8 MiB.
// What says nothing of the kind, also with [WithDefaultTTL], is not stored for a request with a cookie, nor
// served to one, and what a handler made from a session of this module only if it is public or has s-maxage:
// also if it reads the session after its first byte.
//
// The key is the scheme, the host and the path and query as they were sent,
// not decoded; Vary selects among variants, and so do fields like
// X-Forwarded-Host, which handlers take for a part of the URL. The fields of content
// negotiation are compared by what they mean (RFC 9110, section 12.5).
//
// Outer middlewares write into the same header map. What they say counts as if the
// handler had said it, the most restrictive of all: private, no-store and
// Set-Cookie forbid, the shortest lifetime holds, the names of all Vary fields select.
// No value of theirs, RateLimit fields for one, is stored or replayed.
// All that decides about a request is taken from it before the handler, which may
// change it, gets it.
//
// Bodies stream to the client while they are kept, and from Redis in pieces of
// 256 KiB. Conditional and range requests are answered from the store. Each
// response has Cache-Status (RFC 9211), which says why it was not a hit, or not stored;
// [Cache.Explain] says more.
//
// # Stale responses
//
// A stale response is validated with the handler, by If-None-Match and
// If-Modified-Since. stale-while-revalidate serves it at once and refreshes it
// in the background, once in the fleet; stale-if-error serves it in place of
// 500, 502, 503, 504 and panics (RFC 5861). Neither beyond its window, nor with
// must-revalidate, proxy-revalidate, s-maxage or no-cache. Shortly before a
// response is stale one request refreshes it in the background
// ([WithEarlyRefresh]), so that under steady traffic nobody waits.
//
// # Crowds
//
// Of requests that miss the same thing at once, on all instances, one calls the
// handler. The others look the store up again when it is done, and get what the
// store may give them: never the response of another. Where nothing is stored
// nobody waits, for two minutes after that was seen. A waiter gives up after
// [WithCollapseTimeout].
//
// # Purging
//
// [Cache.Purge] notes the URL in the purge log of its bucket, [Cache.PurgeTags]
// a tag (Surrogate-Key, Cache-Tag, or Cache-Groups of RFC 9875) in all of them,
// and an unsafe request that succeeds does so for its own URL, those it names, and the groups of
// Cache-Group-Invalidation, before its response goes out. Each entry
// carries the number of the last purge when its handler was called; it does not count
// once the log has a higher one for it. So a response on its way into the store during a
// purge is void on arrival, a purge of a tag costs the same however many
// responses have it, and a lost log makes its entries void. SoftPurge makes
// responses stale instead of void.
//
// # When Redis fails
//
// A look-up has 50 ms; after five failures in a row Redis is asked once a
// second. Without it every request reaches the handler, but of a crowd for the
// same thing still one at a time, and the client sees no error. A purge that fails returns its error; that of an
// unsafe request goes to the hook and is retried until it is written, and until then this
// instance serves nothing from that bucket.
//
// # What it is not
//
// A shared cache: what is for one user only, private or with Set-Cookie, is left to
// browsers. Parts (206) are served from whole responses and not stored by themselves.
// It is bounded by TTLs and by Redis' memory, not by a number of its own.
//
// # Keys
//
// In one slot a bucket, {<buckets>.<n>}: cache:v1:<name>:{…}:e:<hash>:<variant>
// is a string, one entry; …:c:<id>:<n> are pieces of large bodies; …:v:<hash> is
// a set, the names of selecting headers; …:l:<hash>:<variant> is the lease of
// who makes a response; …:log is a hash, the purge log. All have a TTL, and any
// maxmemory policy is safe.
package cache
