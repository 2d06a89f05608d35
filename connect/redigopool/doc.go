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
// []any, nil, redis.Error) with either protocol of the client; a status line
// that a script returns arrives as bulk, because go-redis does not distinguish it. Over RESP3
// floats are written in their shortest form (1.1, not 1.1000000000000001). Server
// errors are redigo's Error; others wrap their cause, and match
// [ErrUnavailable] if Redis did not answer. After an error the connection
// remains usable: Err is nil until Close.
//
// MULTI … EXEC is sent as a whole at EXEC, and an element of its reply that is
// an error is returned as the error of EXEC too, because callers like redisstore
// do not check the elements. MULTI, SET k v, PEXPIREAT k t, EXEC is sent as
// SET k v PXAT t, one round trip and one command (Redis 6.2; older servers
// are detected by their first error and get the transaction).
//
// KEYS is a SCAN over all masters, DBSIZE, FLUSHDB, FLUSHALL and SCRIPT reach
// all masters. Commands that would change or block a shared connection
// (SELECT, AUTH, WATCH, SUBSCRIBE, MONITOR, BLPOP …) fail with a
// [*CommandError], and so does SCAN on a cluster, where a cursor belongs to one node.
//
// # When Redis fails
//
// A call returns when its context ends, also with clients that ignore deadlines.
// A client of package connect retries no command; other clients may retry after
// a network error, as their options say.
package redigopool
