// Package connect makes the Redis connections that the middlewares share: one
// URL grammar for standalone servers, unix sockets, TLS, Sentinel, Cluster and
// an embedded development server, named connections in a [Set], and a go-redis
// client with defaults for serving requests.
//
//	conn, err := connect.Open("redis+sentinel://s1,s2,s3/mymaster")
//	if err != nil { … }               // every mistake at once, no secret in it
//	defer conn.Close(ctx)
//	if err := conn.Ready(ctx); err != nil { … }
//	limiter, err := ratelimit.New(conn.Client(), redis_rate.PerMinute(100))
//
// # What differs from go-redis
//
// Deadlines of contexts hold on the socket (go-redis: 5 s against a hung
// server). Nothing is sent twice, on a cluster neither (one INCR with lost
// replies was counted four times). A refused dial fails at once instead of
// after five tries. A cluster client reads the topology again after an error,
// so a dead master is replaced within seconds, not a minute. Certificates are
// verified by the name each node is dialled at. Maintenance notifications,
// which look host names up inside the constructor, are off. Process-wide state of
// go-redis, like its logger, is left alone.
//
// # When Redis fails
//
// Open and New do not dial and succeed with Redis down. Calls then fail within
// their deadline with an [*UnavailableError], which names the cause that go-redis
// hides; after five such failures in a row a breaker opens, and calls fail at
// once until, after 1 s ± 20 %, one that is let through is answered. On a
// cluster each node has its own breaker. Only silence counts: not what Redis
// answers, not a caller that gives up or whose deadline is below 20 ms.
// [Conn.Ready] waits until Redis serves. After a failover of Sentinel or Cluster
// the same client goes on with the new master, within a second.
//
// # Many calls at once
//
// [Conn.Batched] sends them together when more than a few are in flight, and
// else leaves them alone. [Conn.Stats], [Conn.Health], [Conn.Nodes] and
// [Set.HealthHandler] show what goes on.
//
// # Secrets
//
// No error, String, JSON or log of this package contains a password, nor a URL
// that it was given, for in a wrong URL the password may be anywhere. User
// names, addresses and file names are shown.
//
// Beside go-redis' own goroutines (it listens to sentinels) there are some only
// for batches and, while a breaker refuses calls, to look for the new master;
// Close ends them all.
//
// It creates no keys.
package connect
