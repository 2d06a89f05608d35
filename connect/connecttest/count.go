//go:build unix

package connecttest

import (
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Counter counts what a client sends: a command or a pipeline is one round trip,
// however many nodes of a cluster it reaches. The greeting of a new connection
// does not count. It is safe for concurrent use.
type Counter struct{ c *redistest.Counter }

// Count counts from now on what rdb sends, on any topology: conn.Client() of a
// [connect.Conn], or any other client of go-redis. Of [connect.Conn.Batched] it sees
// each batch as one round trip.
func Count(rdb redis.UniversalClient) *Counter { return &Counter{redistest.Count(rdb)} }

// Trips is the number of round trips since Count or the last Reset.
func (c *Counter) Trips() int { return c.c.Trips() }

// Commands counts by the command's name, in lower case. The map is the caller's.
func (c *Counter) Commands() map[string]int { return c.c.Commands() }

// Reset starts again from zero.
func (c *Counter) Reset() { c.c.Reset() }
