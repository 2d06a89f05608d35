package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// After a holder's death the first in the queue succeeds it, although a
// newcomer asks all the time; if that one died as well, the next does.
func TestTheQueueIsInOrderAfterADeath(t *testing.T) {
	const ttl = time.Second
	for mode, opts := range map[string][]lockmw.Option{"lock": nil, "readers and writers": {lockmw.WithReadWrite(true)}, "permits": {lockmw.WithPermits(2)}} {
		for name, dead := range map[string]int{"the holder": 0, "the first waiters": 2} {
			t.Run(mode+", "+name, func(t *testing.T) {
				t.Parallel()
				s := redistest.NewServer(t)
				p := redistest.NewProxy(t, s.Addr())
				opts := append([]lockmw.Option{lockmw.WithKeyPrefix(redistest.Prefix(t)), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl * 45 / 100)}, opts...)
				dying := func() *lockmw.Locker {
					l, err := lockmw.New(redisClient(t, p.Addr()), opts...)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						ctx, cancel := context.WithCancel(context.Background())
						cancel()
						_ = l.Close(ctx)
					})
					return l
				}
				waiter, newcomer := locker(t, s.Client(t), opts...), locker(t, s.Client(t), opts...)
				start := time.Now()
				redistest.Eventually(t, patience, func() bool { // both watch the clock for a lease
					for _, l := range []*lockmw.Locker{waiter, newcomer} {
						if other, err := l.TryAcquire(t.Context(), "other"); err == nil {
							_ = other.Release(t.Context())
						}
					}
					return time.Since(start) > ttl+ttl/10
				}, "time stands still")
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				queued := func(key string, n int) {
					redistest.Eventually(t, patience, func() bool {
						info, err := newcomer.Inspect(ctx, key)
						return err == nil && info.Waiters == n
					}, "want %d waiters", n)
				}
				holders := 1
				if mode == "permits" {
					holders = 2
				}
				holder, others := dying(), []*lockmw.Locker{dying(), dying()}
				var keys []string
				var wg sync.WaitGroup
				first := map[string]chan uint64{} // fences: they tell the order
				for round := range 4 {
					key := fmt.Sprint("key", round)
					keys, first[key] = append(keys, key), make(chan uint64, 1)
					for range holders {
						acquire(t, holder, key)
					}
					for n := range dead {
						wg.Go(func() { _, _ = others[n].Acquire(ctx, key) })
						queued(key, n+1)
					}
					wg.Go(func() {
						k, err := waiter.Acquire(ctx, key)
						if err != nil {
							t.Errorf("the waiter: %v", err)
							close(first[key])
							return
						}
						first[key] <- k.Fence()
						_ = k.Release(ctx)
					})
					queued(key, dead+1)
				}
				p.Refuse()
				p.CloseConns()
				died := time.Now()
				for _, key := range keys {
					wg.Go(func() {
						var k *lockmw.Lock
						redistest.Eventually(t, patience, func() bool {
							var err error
							if k, err = newcomer.TryAcquire(ctx, key); err != nil && !errors.Is(err, lockmw.ErrBusy) {
								t.Errorf("the newcomer: %v", err)
							}
							return err == nil
						}, "the newcomer never gets in")
						if at, ok := <-first[key]; ok && at > k.Fence() {
							t.Errorf("%s: the newcomer was before the queue", key)
						}
						if took := time.Since(died); took > 4*ttl+time.Duration(dead)*500*time.Millisecond {
							t.Errorf("%s: succeeded after %v", key, took)
						}
						_ = k.Release(ctx)
					})
				}
				wg.Wait()
			})
		}
	}
}
