// Package ratelimit limits requests by client address, exactly and for all
// instances of a service together.
//
//	limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(100))
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
// All arithmetic is in integers, time is the server's, a refused request writes
// nothing, and a request whose reply is lost is not sent again, so never charged
// twice. Raising a limit takes effect at once. A refusal holds until the time it
// names and is repeated from memory ([WithDenyCache]): a blocked client costs at
// most one call a second for each instance.
//
// # Whose requests
//
// [RemoteAddr] by default: the connection's address, IPv6 by /64, no header
// trusted. Behind proxies use [ByIP] with a resolver of package clientip. Anything else,
// an API key or a user, is a [KeyFunc] of your own. Over a unix socket there is no
// address: trust the socket, or all requests share one key, which is logged.
//
// # When Redis fails
//
// A call has 100 ms ([WithTimeout]); after five failures in a row Redis is
// asked once a second. Meanwhile [WithOnUnavailable] decides: [Local] (the
// default) counts in this process, all of the limit or [WithLocalShare] of it,
// [Open] lets everything pass, [Closed] answers 503. An outage itself is never
// answered 429 and never shown to the client. After a failover or a lost key a
// client's bucket is full again. A concurrency limit's place is free 30 s after
// its process died, and as soon as Redis answers if only the reply was lost; one
// whose renewals fail for that long may be given away. Refunds go where the charge
// went, see [Limiter.RefundDecision].
//
// # Keys
//
// ratelimit:v1:<name>:{<hash>} is a string "debt:timestamp:token" with the TTL
// at which the bucket is full again; a hash of counts for a [Window], a sorted
// set of leases for [Concurrency]. All keys of a client are in one slot.
//
// # What it is not
//
// A refused request has reached the process: against a flood of packets there
// must be something further out. Counters are kept as Redis keeps them, so a
// quota that money hangs on belongs into a database. A client is an address: who
// has many is many clients.
//
// # Coming from redis_rate
//
// Limits are redis_rate's own. Allow(ctx, key, limit) becomes New with the
// limit and Allow(ctx, key). Counters start anew, unless [WithEngine] takes
// your *redis_rate.Limiter as it is; then client address, headers and outages
// are handled here, and the counting has redis_rate's known defects (see
// docs/adr/0001).
package ratelimit
