package connect

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// EachMaster calls fn for every master of a cluster concurrently, or once with
// the one client of the other topologies. It returns the first error, and one
// that matches [ErrClosed] from the start of [Conn.Close]. fn must not close
// the client. Use it for commands that concern a server and not a key, such as
// SCAN, CONFIG or INFO.
func (c *Conn) EachMaster(ctx context.Context, fn func(ctx context.Context, master *redis.Client) error) error {
	if c.open.Err() != nil {
		return c.errClosed()
	}
	switch rdb := c.client.(type) {
	case *redis.ClusterClient:
		return c.explain(rdb.ForEachMaster(ctx, fn))
	case *redis.Client:
		return fn(ctx, rdb)
	}
	return fmt.Errorf("connect: %s: unknown client %T", c.name, c.client)
}
