package connect

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Keys yields the keys of all masters that match a glob pattern, each once. It
// uses SCAN, which does not block the servers, one master after the other and
// about 500 keys a round trip. A key that exists throughout is yielded; one
// that is created or deleted during the iteration may be missing. The iteration
// ends after the first error, which is yielded with an empty key. It remembers
// every key it has yielded and is for operators, not for requests.
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
