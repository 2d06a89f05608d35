// Package redigopool serves a go-redis client as a redigo pool, so that
// libraries written for redigo, scs/redisstore among them, share the
// connections of package connect on every topology: standalone, unix socket,
// TLS, Sentinel and Cluster.
//
//	pool, err := redigopool.New(conn.Client())
//	store := redisstore.New(pool)
//
// The pool's connections are virtual: they own no socket, only a queue of
// commands, the state of a transaction and a context. Getting one dials
// nothing, closing the pool does not close the client.
//
// # What differs from a connection of redigo
//
// Replies have redigo's types for RESP2 (bulk []byte, status string, int64,
// []any, nil, [redis.Error]) whatever protocol the client speaks; a status line
// that a script returns arrives as bulk, for go-redis does not tell. Over RESP3
// floats are written in their shortest form (1.1, not 1.1000000000000001). Server
// errors are redigo's Error; others wrap their cause, so that errors.Is
// works. After an error the connection remains usable: Err is nil until
// Close.
//
// MULTI … EXEC is sent as a whole at EXEC, and an element of its reply that is
// an error is returned as the error of EXEC too: callers like redisstore never
// look at the elements. MULTI, SET k v, PEXPIREAT k t, EXEC is sent as
// SET k v PXAT t, one round trip and one command (Redis 6.2; older servers
// are noticed once and get the transaction).
//
// [Conn.Guard] makes such a commit conditional on the value that was read, in
// one round trip: sessions use it so that no update is lost and no logout undone.
//
// KEYS is a SCAN over all masters, DBSIZE, FLUSHDB, FLUSHALL and SCRIPT reach
// all masters. Commands that would change or block a connection others use
// (SELECT, AUTH, WATCH, SUBSCRIBE, MONITOR, BLPOP …) are refused with a
// [*CommandError], and on a cluster SCAN, whose cursor means one node.
//
// # When Redis fails
//
// A call ends with its context, also with clients that ignore deadlines. A
// client of package connect sends nothing twice; others may repeat a command
// after a network error, as their options say.
package redigopool
