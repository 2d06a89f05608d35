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
// negotiation are compared by what they mean (RFC 9110, section 12.5). Of each URL
// at most [WithMaxVariants] variants are stored, those that were stored last. The
// scheme is https where this process itself speaks TLS; behind a proxy that ends TLS
// it is http, unless [WithTrustedProxies] or [WithScheme] say otherwise. A purge
// concerns both.
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
// ([WithEarlyRefresh]), so that under steady traffic no client waits.
//
// # Crowds
//
// Of requests that miss the same thing at once, on all instances, one calls the
// handler. The others look the store up again when it is done, and get what the
// store may give them: never the response of another. When that one call panics, is
// cut short or its client leaves, the next one takes over, alone; and so when its response is not
// stored. When that of the next one is not stored either, the others call the handler themselves as
// soon as its header is known, and requests do not wait at all until 10 seconds after the last response that
// was not stored: those with a cookie if the responses were for such, those without if
// not, and only until one is stored. The same goes for 10 minutes
// for a body that turned out to be too large, which is then not written to Redis again. A
// waiter gives up after [WithCollapseTimeout] and calls the handler. A request never waits
// for a refresh in the background, however long that takes.
//
// # Purging
//
// [Cache.Purge] notes the URL in the purge log of its bucket, [Cache.PurgeTags]
// a tag (Surrogate-Key, Cache-Tag, or Cache-Groups of RFC 9875) in all of them,
// and an unsafe request that succeeds does so for its own URL, those it names, and the groups of
// Cache-Group-Invalidation, before its response goes out. Each entry
// carries the number of the last purge when its handler was called; it does not count
// once the log has a higher one for it. So a response on its way into the store during a
// purge is invalid on arrival, a purge of a tag costs the same however many
// responses have it, and a lost log invalidates its entries. SoftPurge makes
// responses stale instead.
//
// A log belongs to the master that began it, by its replication ID. After a
// failover, a restart or a move of its slot it begins again and what was stored before is a miss:
// the new master may not know of the last purges. [WithWaitReplicas] has purges wait for replicas, too.
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
// In one slot a bucket, {<buckets>.<n>}: cache:v2:<name>:{…}:e:<hash>:<variant>
// is a string, one entry; …:c:<id>:<n> are pieces of large bodies; …:v:<hash> is
// a set, the names of selecting headers; …:n:<hash> is a hash, the variants of a URL;
// …:l:<hash>:<variant> and …:r:<hash>:<variant> are the leases of the request that makes a response and
// of a refresh; …:o:<hash>:<variant>:<class> and …:b:<hash>:<variant> say that nothing is stored there and
// that a body is too large; …:log is a hash, the purge log. All have a TTL, and any
// maxmemory policy is safe.
package cache
