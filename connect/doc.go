// Package connect makes the Redis connections that the middlewares share: one
// URL grammar for standalone servers, unix sockets, TLS, Sentinel, Cluster and
// an embedded development server, named connections in a [Set], and a go-redis
// client with defaults for serving requests.
//
//	conn, err := connect.Open("redis+sentinel://s1,s2,s3/mymaster")
//	if err != nil { … }               // all mistakes at once, never a secret
//	defer conn.Close(ctx)
//	if err := conn.Ready(ctx); err != nil { … }
//	limiter, err := ratelimit.New(conn.Client(), redis_rate.PerMinute(100))
//
// A program with one Redis needs [Open] alone, which returns a [Conn]. [New]
// takes a [Config] in place of a URL, [FromEnv] reads a [Set] from environment
// variables, and [FromClient] makes a Conn of a go-redis client that exists
// already. [Conn.Client] is what the middlewares take.
//
// # How it differs from go-redis
//
//   - Deadlines of contexts hold on the socket. With go-redis' defaults a call
//     to a hung server takes 5 s.
//   - Nothing is sent twice, also on a cluster, where one INCR with lost
//     replies was counted four times.
//   - A refused dial fails at once instead of after five attempts.
//   - A cluster client reloads the topology after an error, so a dead master is
//     replaced within seconds, not after a minute.
//   - Each node's certificate is verified by the name at which it is dialled.
//   - Maintenance notifications, which look host names up inside the
//     constructor, are off.
//
// Process-wide state of go-redis, such as its logger, is left alone.
//
// # When Redis fails
//
// Open and New do not dial and succeed while Redis is down. Calls then fail
// within their deadline with an [*UnavailableError], which matches
// [ErrUnavailable] and names the cause that go-redis hides. After five such
// failures in a row a circuit breaker opens, and calls fail at once. After 1 s
// ± 20 % it lets one call through; when that succeeds, the breaker closes. On a
// cluster each node has a breaker of its own. Calls that overlap and fail together
// count as one failure, so that a short pause of Redis opens nothing; under load a
// server that hangs is cut off after two deadlines, or one and 200 ms if that is
// longer.
//
// Only a missing reply opens a breaker. Replies of Redis do not, nor does a
// caller that gives up or whose deadline is below 20 ms. Replies that say Redis
// cannot serve now, such as LOADING, READONLY or OOM, match ErrUnavailable too.
//
// [Conn.Ready] waits until Redis serves. After a failover of Sentinel or
// Cluster the same client keeps working with the new master, within a second.
//
// # Concurrency
//
// All types are safe for concurrent use. [Conn.Batched] returns a client that
// sends calls together when more than a few are in flight, and one by one
// otherwise.
//
// # Observability
//
// [Conn.Info] is the configuration, [Conn.Stats] counts without asking Redis,
// [Conn.Health] pings the masters, and [Conn.Nodes] asks every server about
// itself. [Set.HealthHandler] and [Set.LivenessHandler] serve probes.
//
// # Secrets
//
// No error, String, JSON or log of this package contains a password, nor a URL
// that it was given: in a wrong URL the password may be anywhere. User names,
// addresses and file names are shown.
//
// # Goroutines and keys
//
// Beside those of go-redis, which listens to sentinels, goroutines run only for
// batches and, while a breaker rejects calls, to look for a new master.
// [Conn.Close] ends all of them. The package creates no keys.
package connect
