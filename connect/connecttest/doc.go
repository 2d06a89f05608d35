// Package connecttest starts real Redis servers for tests, without Docker, and
// breaks them in chosen ways. It is what this project tests itself with.
//
//	func TestOrders(t *testing.T) {
//		cluster := connecttest.NewCluster(t, 1)      // three masters, a replica each: two seconds
//		conn := connecttest.Open(t, cluster.URL())   // a *connect.Conn, ready
//		cluster.MasterOf(t, "order:1").Kill()
//		connecttest.Eventually(t, 10*time.Second, func() bool {
//			return conn.Client().Set(t.Context(), "order:1", "paid", 0).Err() == nil
//		}, "no failover")
//	}
//
// It needs a Unix and the program redis-server in the path, Redis 7.0 or above. The
// environment variable REDISHTTP_REDIS_SERVER names another program, in the path or
// by its file, to run the same tests on another server:
//
//	REDISHTTP_REDIS_SERVER=valkey-server go test ./...
//
// Sentinels are the same program with --sentinel. Where the program is missing tests
// fail, because a test that is silently skipped is a test that is never run; use
// [Available] to decide otherwise.
//
// Servers listen on loopback only, keep nothing on disk but logs in a temporary
// directory, are private to the test that started them and end with it; on
// Linux they also end when the test binary is killed. A standalone server is up
// in about 20 ms, Sentinel in 0.3 s, a cluster in 2 s, which is a constant in
// Redis.
//
// # When Redis fails
//
// [Server.Kill] refuses connections, [Server.Pause] hangs, [Proxy] loses
// replies, resets and delays. [NewNetwork] puts a proxy in front of every server of
// a topology, also of Cluster and Sentinel, whose clients would pass a single one
// by. Nothing here hides a failure: a server that does not start fails the test
// with its log, and so does an option that the topology does not have.
//
// # Time and counts
//
// [WithClock] starts servers whose time of day [Server.SetClock] sets, so that
// what expires in an hour expires now. [Count] counts round trips and commands.
//
// It creates no keys.
package connecttest
