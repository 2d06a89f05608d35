// Package redistest starts real Redis servers for tests, without Docker:
// standalone (TCP, unix socket, mutual TLS, ACL), Cluster and Sentinel, each in
// milliseconds to two seconds, and a TCP proxy that breaks the network in
// chosen ways.
//
// Every package that uses it has
//
//	func TestMain(m *testing.M) { redistest.Main(m) }
//
// [Standalone], [Cluster] and [Sentinel] are shared by all tests of a binary:
// keep tests apart with [Prefix] and flush nothing. [NewServer], [NewCluster]
// and [NewSentinel] are private to a test, which may kill, pause and fail them
// over.
//
// The environment variable REDISHTTP_REDIS_SERVER names another program than
// redis-server, such as valkey-server or a path. A missing program fails the
// test; it never skips it. No server outlives
// its test binary, whether that ends, panics, is interrupted or killed: the
// kernel sends each SIGKILL when its parent goes (on Linux; elsewhere a
// killed test binary may leave servers behind). It needs a Unix.
package redistest
