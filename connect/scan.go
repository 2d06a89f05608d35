package connect

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/redis/go-redis/v9"
)

// EachMaster calls fn for every master at the same time, on a cluster; with
// the one client otherwise. It returns the first error, and [ErrClosed] from the
// start of [Conn.Close].
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

// Keys yields the keys that match a glob pattern, of all masters, each once,
// by SCAN: it blocks no server and shows a key that exists all the time, but
// perhaps not one that comes or goes meanwhile. The iteration ends after an
// error. It is for operators, not for requests.
func (c *Conn) Keys(ctx context.Context, match string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var (
			mu      sync.Mutex
			masters []*redis.Client
		)
		err := c.EachMaster(ctx, func(_ context.Context, master *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			masters = append(masters, master)
			return nil
		})
		if err != nil {
			yield("", fmt.Errorf("connect: keys of %s: %w", c.name, err))
			return
		}
		seen := map[string]struct{}{} // SCAN repeats keys, and so does a moving slot
		for _, master := range masters {
			it := master.Scan(ctx, 0, match, 500).Iterator()
			for it.Next(ctx) {
				if _, again := seen[it.Val()]; again {
					continue
				}
				seen[it.Val()] = struct{}{}
				if !yield(it.Val(), nil) {
					return
				}
			}
			if err := it.Err(); err != nil {
				yield("", fmt.Errorf("connect: keys of %s: %w", c.name, err))
				return
			}
		}
	}
}
