// Package ratelimit limits requests by client address, exactly and for all
// instances of a service together.
//
//	limiter, err := ratelimit.New(rdb, ratelimit.PerMinute(100))
//	if err != nil { … }
//	handler = limiter.Handler(handler)
//
// # How it decides
//
// The generic cell rate algorithm, as in redis_rate, in one Lua script and one
// round trip: a bucket of Burst requests that drains at Rate per Period. In
// any interval L at most Burst + Rate*L/Period requests are admitted, over all
// processes; a fresh client may send Burst at once, no more. [Window] admits
// at most n in any interval, [Concurrency] n at a time; several limits
// ([WithLimits]) are charged all or not at all, in the same round trip.
//
// All arithmetic is in integers, time is the server's, a rejected request writes
// nothing, and a request whose reply is lost is not sent again, so it is never
// charged twice. Raising a limit takes effect at once. A refusal holds until the time
// it names and is repeated from memory ([WithDenyCache]): a client that floods costs
// at most one call a second for each instance.
//
// # Choosing a limit
//
//   - [Rate] is a bucket: it admits a burst at once and then a steady rate. It costs
//     one short string in Redis for each client. Use it unless one of the others is needed.
//   - [Window] never admits more than n in any interval of its length. Use it for
//     quotas that are promised, such as 5,000 a day.
//   - [Concurrency] admits n at a time, however long they run. Use it for requests
//     that are slow or expensive.
//
// Combine them with [WithLimits]: a rate against bursts, a window for the day. Choose
// by request, such as by the customer's tier, with [WithLimitsFunc]. Try a limit on
// real traffic with [WithShadow] and [Hooks] before it rejects a request.
//
// # Responses
//
//   - Admitted: the handler's response, with RateLimit and RateLimit-Policy
//     (draft-ietf-httpapi-ratelimit-headers), see [Headers].
//   - 429 (RFC 6585, section 4): over the limit, with Retry-After in whole seconds,
//     Cache-Control: no-store and a body of application/problem+json (RFC 9457). A cost
//     above the burst has no Retry-After, because it is never admitted.
//   - 503: Redis is unavailable and the failure mode is [FailClosed].
//   - 500: a function of an option returned an error, no key, or limits that are
//     mistakes. The reason is logged, see [WithLogger].
//
// [WithDenyHandler] replaces the response to 429 and 503.
//
// # Outside of HTTP
//
// [Limiter.Allow] and [Limiter.AllowN] decide for any key: a message of a connection,
// a job of a worker. [Limiter.Enter] also enters a [Concurrency] policy.
// [Limiter.Charge] and [Limiter.ChargeLater] charge what is known only afterwards,
// [Limiter.Refund] gives back. Operators use [Limiter.Block] and [Limiter.Reset].
//
// # Identifying clients
//
// By default a client is the connection's address, IPv6 by /64, and no header is
// trusted. Behind proxies use [ByIP] with a resolver of package clientip. For an API
// key or a user, write a [KeyFunc]. Over a unix socket there is no address: trust the
// socket, or all requests share one key, which is logged. To refuse addresses
// whatever they send, put [clientip.Deny] in front.
//
// # When Redis fails
//
// Each call times out after 100 ms ([WithTimeout]); after five failures in a row
// Redis is called once a second. Calls that time out in one pause of Redis count as
// one failure. Until it is back, [WithFailureMode] decides:
// [FailLocal] (the default) counts in this process, up to the whole limit or
// [WithLocalLimits] of it, [FailOpen] admits every request, [FailClosed] returns
// 503. An outage itself never returns 429 and is never shown to the client. After a
// failover or a lost key a client's bucket is full again. A place of a
// concurrency limit is free 30 s after its process died, and as soon as Redis answers
// if only the reply was lost; a place whose renewals fail for that long may be given
// to another request. Refunds go where the charge went, see [Limiter.Refund].
// Errors match [ErrUnavailable].
//
// # Keys
//
// ratelimit:v1:<name>:{<hash>} is a string "debt:timestamp:token" with the TTL
// at which the bucket is full again; a hash of counts for a [Window], a sorted
// set of leases for [Concurrency]. A limiter with several limits, or with
// [WithLimitsFunc], counts a client in one hash, ratelimit:v1:{<hash>}, so that a
// call has one key while slots of a cluster move. Limiters with the same prefix share
// the count of a limit of one name if they use the same kind of key.
//
// # Limitations
//
// A rejected request has reached the process: a flood of packets must be stopped
// before it. Counters are as durable as Redis: billing quotas belong in a database.
// A client is an address: someone with many addresses counts as many clients.
//
// # Coming from redis_rate
//
// [New] takes redis_rate's limits as they are. Allow(ctx, key, limit) becomes New
// with the limit and Allow(ctx, key). Counters start from zero, unless [WithEngine]
// takes your *redis_rate.Limiter; then client address, headers and outages are
// handled here, and the counting has redis_rate's known defects (see docs/adr/0001).
package ratelimit
