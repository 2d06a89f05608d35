package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// hammer has goroutines of each locker take key for next to no time, and
// returns how many locks there were and how many waits took longer than half a
// second, which only those do that nothing has woken.
func hammer(t *testing.T, lasts time.Duration, goroutines int, take func(ctx context.Context, n int) (*lockmw.Lock, error)) (locks, slept int32) {
	t.Helper()
	var served, late atomic.Int32
	var wg sync.WaitGroup
	for until, n := time.Now().Add(lasts), 0; n < goroutines; n++ {
		wg.Go(func() {
			for time.Now().Before(until) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				asked := time.Now()
				k, err := take(ctx, n)
				if err != nil {
					t.Errorf("acquire: %v", err)
					cancel()
					return
				}
				if time.Since(asked) > 500*time.Millisecond {
					late.Add(1)
				}
				if err := k.Release(ctx); err != nil {
					t.Errorf("release: %v", err)
				}
				served.Add(1)
				cancel()
			}
		})
	}
	wg.Wait()
	return served.Load(), late.Load()
}

// A release between the call that queues a waiter and its answer wakes the
// waiter: with short sections that is most releases. Waits above half a second are
// counted, because a median hides them.
func TestNoWakeUpIsLost(t *testing.T) {
	const lasts = 1500 * time.Millisecond
	exclusive := func(ls []*lockmw.Locker, keys int) func(context.Context, int) (*lockmw.Lock, error) {
		return func(ctx context.Context, n int) (*lockmw.Lock, error) {
			return ls[n%len(ls)].Acquire(ctx, fmt.Sprint("key", n%keys))
		}
	}
	for _, tc := range []struct {
		name       string
		lockers    int
		goroutines int
		opts       []lockmw.Option
		take       func([]*lockmw.Locker) func(context.Context, int) (*lockmw.Lock, error)
	}{
		{"one instance", 1, 4, nil, func(ls []*lockmw.Locker) func(context.Context, int) (*lockmw.Lock, error) { return exclusive(ls, 1) }},
		{"two instances", 2, 4, nil, func(ls []*lockmw.Locker) func(context.Context, int) (*lockmw.Lock, error) { return exclusive(ls, 1) }},
		{"permits", 2, 6, []lockmw.Option{lockmw.WithPermits(2)}, func(ls []*lockmw.Locker) func(context.Context, int) (*lockmw.Lock, error) {
			return exclusive(ls, 1)
		}},
		{"readers and writers", 2, 6, []lockmw.Option{lockmw.WithReadWrite(true)}, func(ls []*lockmw.Locker) func(context.Context, int) (*lockmw.Lock, error) {
			return func(ctx context.Context, n int) (*lockmw.Lock, error) {
				if n%3 == 0 {
					return ls[n%len(ls)].Acquire(ctx, "key")
				}
				return ls[n%len(ls)].AcquireShared(ctx, "key")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, g *redistest.Target) {
				t.Parallel()
				prefix := redistest.Prefix(t)
				var ls []*lockmw.Locker
				for range tc.lockers {
					ls = append(ls, locker(t, g.Client(t), append([]lockmw.Option{lockmw.WithKeyPrefix(prefix)}, tc.opts...)...))
				}
				late := lateness()
				locks, slept := hammer(t, lasts, tc.goroutines, tc.take(ls))
				t.Logf("%d locks, %d waits above 500ms", locks, slept)
				if worst := late(); slept > 0 && worst < 250*time.Millisecond {
					t.Errorf("%d of %d waits took longer than 500ms; timers were up to %v late", slept, locks, worst)
				}
			})
		})
	}
}

var _ = errors.Is
var _ redis.Cmdable
