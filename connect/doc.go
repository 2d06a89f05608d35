// Package connect makes the Redis connections that the middlewares share: one
// URL grammar for standalone servers, unix sockets, TLS, Sentinel, Cluster and
// an embedded development server, named connections in a [Set], and a go-redis
// client with defaults for serving requests.
//
//	conn, err := connect.Open("default", "redis+sentinel://s1,s2,s3/mymaster")
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
// their deadline, or at once when the connection is refused. [Conn.Ready]
// waits, and names the cause that go-redis hides. After a failover of Sentinel
// or Cluster the same client goes on with the new master.
//
// # Secrets
//
// No error, String, JSON or log of this package contains a password, nor a URL
// that it was given, for in a wrong URL the password may be anywhere. User
// names, addresses and file names are shown.
//
// It creates no keys.
package connect
