// Package cache is a shared response cache after RFC 9111, kept in Redis and
// therefore common to all instances of a service.
//
//	responses, err := cache.New(rdb)
//	if err != nil { … }
//	handler = responses.Handler(handler)
//
// # What it stores
//
// Responses to GET that say how long they are fresh: s-maxage, max-age or
// Expires, nothing is guessed. Never: private, no-store, no-cache, Set-Cookie,
// Vary with *, Cookie or Authorization, partial or aborted responses, answers
// to requests with Authorization or with a body, bodies above 1 MiB. Bodies stream
// to the client while they are kept.
//
// The key is the scheme, the host and the path and query as they were sent,
// not decoded; Vary selects among variants, and so do fields like
// X-Forwarded-Host, which handlers take for a part of the URL. What middlewares further out put into the header, RateLimit
// fields for one, is neither stored nor replayed.
//
// Conditional and range requests are answered from the store. Each response has
// Cache-Status (RFC 9211), which says why it was not a hit, or not stored.
//
// # Purging
//
// [Cache.Purge] notes the URL in the purge log of its bucket, and an unsafe
// request that succeeds does so for its own URL before its response goes out. Each entry
// carries the number of the last purge when its handler was called; it does not count
// once the log has a higher one for it. So a response on its way into the store during a
// purge is void on arrival, and a lost log makes its entries void.
//
// # When Redis fails
//
// A look-up has 50 ms; after five failures in a row Redis is asked once a
// second. Without it every request reaches the handler, nothing is stored, the
// client sees no error. A purge that fails returns its error; that of an
// unsafe request goes to the hook, and entries then live until they expire.
//
// # Keys
//
// In one slot a bucket, {<buckets>.<n>}: cache:v1:<name>:{…}:e:<hash>:<variant>
// is a string, one entry, with its freshness as TTL. …:v:<hash> is a set, the
// names of selecting headers, and …:log a hash, the purge log; both live
// longer than any entry and are renewed by each fill. Any maxmemory policy is
// safe.
package cache
