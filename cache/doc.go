// Package cache is a shared response cache after RFC 9111. It is kept in Redis
// and therefore common to all instances of a service.
//
//	responses, err := cache.New(rdb)
//	if err != nil { … }
//	defer responses.Close(ctx)
//	handler = responses.Handler(handler)
//
// [New] makes a [Cache], [Cache.Handler] is its middleware. Handlers decide
// what is stored, by Cache-Control; [Cache.Purge] and [Cache.PurgeTags]
// invalidate it. [Cache.Lookup] and [Cache.Explain] read the store without a
// handler.
//
// # What it stores
//
// Responses to GET that say how long they are fresh (s-maxage, max-age,
// Expires, or CDN-Cache-Control of RFC 9213 in their place), those with
// Last-Modified for a tenth of their age ([WithHeuristicFreshness]), and those
// with a validator, to be validated.
//
// It never stores:
//
//   - responses with private, no-store, Set-Cookie, or Vary with *, Cookie or
//     Authorization;
//   - partial or aborted responses, and bodies above 8 MiB ([WithMaxBody]);
//   - responses of handlers that write neither a status nor a body: net/http
//     sends 200 for them;
//   - responses to requests with a body;
//   - responses to requests with Authorization, unless public, s-maxage or
//     must-revalidate permits it;
//   - responses that say nothing of the kind, also with [WithDefaultTTL], to
//     requests with a cookie; nor are such responses served to them;
//   - what a handler made from a session of this module, unless it is public or
//     has s-maxage, even if it reads the session after its first byte.
//
// # Keys of responses
//
// The key is the scheme, the host and the path and query as they were sent, not
// decoded. Vary selects among variants, and so do fields like X-Forwarded-Host,
// which handlers use to build URLs. The fields of content negotiation are
// compared by what they mean (RFC 9110, section 12.5). Of each URL at most
// [WithMaxVariants] variants are stored, the latest ones.
//
// The scheme is https where this process itself speaks TLS; behind a proxy that
// ends TLS it is http, unless [WithTrustedProxies] or [WithScheme] say
// otherwise. A purge concerns both.
//
// # Outer middlewares
//
// Outer middlewares write into the same header map. What they say counts as if
// the handler had said it, and the most restrictive of all holds: private,
// no-store and Set-Cookie forbid, the shortest lifetime holds, the names of all
// Vary fields select. None of their values, such as RateLimit fields, is stored
// or replayed. The cache reads the request before the handler, which may change
// it.
//
// Bodies stream to the client while they are stored, and from Redis in pieces
// of 256 KiB. Conditional and range requests are served from the store. Each
// response has Cache-Status (RFC 9211), which says why it was not a hit, or not
// stored; [Cache.Explain] says more.
//
// # Stale responses
//
// A stale response is validated with the handler, by If-None-Match and
// If-Modified-Since. stale-while-revalidate serves it at once and refreshes it
// in the background, once across all instances; stale-if-error serves it in
// place of 500, 502, 503, 504 and panics (RFC 5861). Neither is done beyond its
// window, nor with must-revalidate, proxy-revalidate, s-maxage or no-cache.
// Shortly before a response is stale one request refreshes it in the background
// ([WithEarlyRefresh]), so that under steady traffic no client waits.
//
// # Concurrent misses
//
// Of requests that miss the same response at once, on all instances, one calls
// the handler (singleflight). The others look the store up again when it has
// ended, and get what the store may give them: never the response of another.
// If that call panics, is cut short or its client disconnects, the next request
// takes over, alone; the same happens if its response is not stored. If the
// response of the next one is not stored either, the others call the handler
// themselves as soon as its header is known.
//
// From then on requests do not wait at all, until 10 seconds after the last
// response that was not stored (hit-for-miss): those with a cookie if the
// responses were for such requests, those without if not, and only until one is
// stored. The same holds for 10 minutes for a body that turned out to be too
// large, which is then not written to Redis again.
//
// A request that waits gives up after [WithCollapseTimeout] and calls the
// handler. A request never waits for a refresh in the background, however long
// that takes.
//
// # Purging
//
// [Cache.Purge] writes the URL to the purge log of its bucket,
// [Cache.PurgeTags] a tag (Surrogate-Key, Cache-Tag, or Cache-Groups of RFC
// 9875) to all logs. An unsafe request that succeeds does so for its own URL,
// those it names, and the groups of Cache-Group-Invalidation, before its
// response is sent. [Cache.SoftPurge] makes responses stale instead.
//
// Each entry carries the number of the last purge when its handler was called;
// it is a miss once the log has a higher one for it. So a response that is
// stored during a purge is invalid on arrival, a purge of a tag costs the same
// however many responses have it, and a lost log invalidates its entries.
//
// A log belongs to the master that began it, by its replication ID. After a
// failover, a restart or a move of its slot it begins again, and what was
// stored before is a miss: the new master may not know of the last purges.
// [WithWaitReplicas] has purges wait for replicas, too.
//
// # When Redis fails
//
// A lookup times out after 50 ms ([WithTimeouts]); after five failures in a row
// one request a second tries Redis. Lookups that time out in one pause of Redis count
// as one failure. Without it every request reaches the
// handler, but of concurrent requests for the same response still one at a
// time, and the client sees no error. A purge that fails returns its error;
// that of an unsafe request goes to the hook and is retried until it is
// written, and until then this instance serves nothing from that bucket.
//
// # Limitations
//
// It is a shared cache: what is for one user only, private or with Set-Cookie,
// is left to browsers. Parts (206) are served from whole responses and not
// stored by themselves. It is bounded by TTLs and by Redis' memory, not by a
// number of entries.
//
// # Keys
//
// The keys of a bucket are in one slot, {<buckets>.<n>}, and begin with
// cache:v2:<name>:{<buckets>.<n>}, see [WithKeyPrefix], [WithName] and
// [WithBuckets]:
//
//   - …:e:<hash>:<variant> is a string, one entry.
//   - …:c:<id>:<n> are strings, the pieces of large bodies.
//   - …:v:<hash> is a set, the names of selecting fields.
//   - …:n:<hash> is a hash, the variants of a URL.
//   - …:l:<hash>:<variant> and …:r:<hash>:<variant> are the leases of the
//     request that makes a response, and of a refresh.
//   - …:o:<hash>:<variant>:<class> and …:b:<hash>:<variant> say that nothing is
//     stored there, and that a body is too large.
//   - …:log is a hash, the purge log.
//
// All have a TTL, and any maxmemory policy is safe.
package cache
