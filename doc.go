// Package redishttp is the front page of a collection of independent net/http
// middlewares that keep their state in Redis:
//
//   - [github.com/redishttp/redishttp/ratelimit] limits requests by client address,
//   - [github.com/redishttp/redishttp/session] keeps sessions on the server,
//   - [github.com/redishttp/redishttp/cache] is a shared response cache (RFC 9111),
//   - [github.com/redishttp/redishttp/lockmw] serializes requests to a resource,
//
// and of the factory that connects them all,
// [github.com/redishttp/redishttp/connect], for standalone servers, unix
// sockets, TLS, Sentinel, Cluster and an embedded development server.
// [github.com/redishttp/redishttp/admin] is a panel for operators. The
// middlewares do not import one another, and take any go-redis client.
//
// # The order of the chain
//
// From the outside in:
//
//	handler = limiter.Handler(sessions.Handler(responses.Handler(locks.Handler(handler))))
//
// The limiter is outermost, so that a denied request costs one round trip and
// nothing else. The session is outside the cache: inside, every response that
// saves a session sets a cookie and is therefore not stored. It is loaded only
// when used, so a cached answer does not pay for it. The cache is outside the
// lock: a hit needs no lock, and no lock is held while a stored body is copied
// to a slow client. The lock is next to what it protects; around a whole mux it
// locks each path, so give it the methods that change something (lockmw.WithMethods).
//
// A handler inside the cache that writes something for one user must say so
// (Cache-Control: private or no-store), as in front of any shared cache.
//
// # What it costs
//
// A first request through the whole chain takes at most six round trips to
// Redis (limit, session, cache look-up, lock, unlock, cache fill), one that the cache answers at
// most three. The first use of a Lua script in a process adds one.
//
// # When Redis fails
//
// Every call has a deadline that holds, nothing that counts is sent twice (a
// lock is asked for again only by the same owner, who gets it once), and each
// package documents what it answers when Redis is slow, down, failing over or
// has lost a key; the README has the table.
package redishttp
