package lockmw_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// The server's clock is set forward and back, further than a lease: no one gets
// a lock that another holds, whether they knew the server before or not, and the
// holder loses nothing.
func TestClockStepsTakeNoLockAway(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 20 * time.Second, "back": -20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.NewServer(t, redistest.WithClock())
			const ttl = 2 * time.Second
			holder, knows := locker(t, s.Client(t), lockmw.WithKeyPrefix("clock"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4)), locker(t, s.Client(t), lockmw.WithKeyPrefix("clock"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4))
			k := acquire(t, holder, "key")
			start := time.Now()
			redistest.Eventually(t, patience, func() bool { // it watches the clock for more than a lease
				if other, err := knows.TryAcquire(t.Context(), "other"); err == nil {
					_ = other.Release(t.Context())
				}
				return time.Since(start) > ttl+ttl/2
			}, "time stands still")
			s.SetClock(t, step)
			start = time.Now()
			for tries := 0; time.Since(start) < 2*ttl; tries++ {
				for name, l := range map[string]*lockmw.Locker{"one that knew the server": knows, "a new one": locker(t, s.Client(t), lockmw.WithKeyPrefix("clock"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4))} {
					if _, err := l.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
						t.Fatalf("%s, %v after the step: %v, want ErrBusy", name, time.Since(start), err)
					}
				}
				if tries == 0 {
					if err := k.Context().Err(); err != nil {
						t.Fatalf("the holder: %v", context.Cause(k.Context()))
					}
				}
				<-time.After(20 * time.Millisecond)
			}
			if err := k.Release(t.Context()); err != nil {
				t.Errorf("release: %v", err)
			}
			next := acquire(t, knows, "key")
			if next.Fence() <= k.Fence() {
				t.Errorf("the fence went from %d to %d", k.Fence(), next.Fence())
			}
			_ = next.Release(t.Context())
		})
	}
}

// The lock of a holder that died is granted after its lease to those that have observed the
// clock, after two to others, also when the clock is set while they wait.
func TestSuccessionOfADeadHolder(t *testing.T) {
	const ttl = time.Second
	for name, tc := range map[string]struct {
		knows       bool
		step        time.Duration
		least, most float64 // leases
	}{
		"watched":          {true, 0, 0.9, 1},
		"new":              {false, 0, 2.1, 2.2},
		"watched, forward": {true, 20 * time.Second, 1, 2},
		"watched, back":    {true, -20 * time.Second, 1, 2},
		"new, forward":     {false, 20 * time.Second, 2.1, 2.2},
		"new, back":        {false, -20 * time.Second, 2.1, 2.2},
		"watched, a bit":   {true, -ttl / 2, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.NewServer(t, redistest.WithClock())
			proxy := redistest.NewProxy(t, s.Addr())
			dead, err := lockmw.New(redisClient(t, proxy.Addr()), lockmw.WithKeyPrefix("clock"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_ = dead.Close(ctx)
			})
			heir := locker(t, s.Client(t), lockmw.WithKeyPrefix("clock"), lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4))
			start := time.Now()
			redistest.Eventually(t, patience, func() bool {
				if tc.knows {
					if other, err := heir.TryAcquire(t.Context(), "other"); err == nil {
						_ = other.Release(t.Context())
					}
				}
				return time.Since(start) > ttl+ttl/2
			}, "time stands still")
			acquire(t, dead, "key")
			died := time.Now()
			proxy.Refuse()
			s.SetClock(t, tc.step)
			if !tc.knows { // it talks to the server for the first time when the lease is over
				<-time.After(ttl + ttl/5)
			}
			k := acquire(t, heir, "key")
			took := float64(time.Since(died)) / float64(ttl)
			if slack := 0.7; took < tc.least || took > tc.most+slack {
				t.Errorf("succeeded after %.2f leases, want %.1f to %.1f", took, tc.least, tc.most)
			}
			_ = k.Release(t.Context())
		})
	}
}

func redisClient(t testing.TB, addr string) *redis.Client {
	rdb := redisClientFor(addr)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func redisClientFor(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
}
