package lockmw_test

import (
	"context"
	"fmt"
	"strings"
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
// counted, because a median hides them. A loaded machine has such waits, too: the
// test is one of make long, TestAnyClient wakes one waiter at a time.
func TestNoWakeUpIsLost(t *testing.T) {
	redistest.Long(t)
	const lasts = time.Second
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
			t.Parallel()
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

// ring is a Ring over two servers.
func ring(t *testing.T) *redis.Ring {
	t.Helper()
	a, b := redistest.NewServer(t), redistest.NewServer(t)
	rdb := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": a.Addr(), "b": b.Addr()}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// opaque hides what a client is, as a wrapper of the application may.
type opaque struct{ redis.UniversalClient }

// panicky cannot subscribe.
type panicky struct{ redis.UniversalClient }

func (panicky) Subscribe(context.Context, ...string) *redis.PubSub { panic("no") }

// stuck does not come back from Subscribe.
type stuck struct {
	redis.UniversalClient
	until <-chan struct{}
}

func (s stuck) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	<-s.until
	return s.UniversalClient.Subscribe(ctx, channels...)
}

// Any client of go-redis will do: waiters get their turn, of locks of each
// shard. One that cannot subscribe, panics or hangs there blocks no waiter and no
// clean-up: waiters poll.
func TestAnyClient(t *testing.T) {
	shards := ring(t)
	until := make(chan struct{})
	t.Cleanup(func() { close(until) })
	single := redistest.Standalone(t).Client(t)
	for name, tc := range map[string]struct {
		rdb   redis.UniversalClient
		polls bool
	}{
		"ring":                   {rdb: shards},
		"ring inside a struct":   {rdb: struct{ *redis.Ring }{shards}},
		"ring behind a wrapper":  {rdb: opaque{shards}, polls: true},
		"client behind a wrap":   {rdb: opaque{single}},
		"subscribe panics":       {rdb: panicky{single}, polls: true},
		"subscribe does not end": {rdb: stuck{single, until}, polls: true},
	} {
		for mode, opts := range map[string][]lockmw.Option{"lock": nil, "readers and writers": {lockmw.WithReadWrite(true)}} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				prefix := redistest.Prefix(t)
				var ls []*lockmw.Locker
				for range 2 { // not by locker: Close is part of the test
					l, err := lockmw.New(tc.rdb, append([]lockmw.Option{lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(time.Second)}, opts...)...)
					if err != nil {
						t.Fatal(err)
					}
					ls = append(ls, l)
				}
				var wg sync.WaitGroup
				for i := range 8 { // of both shards
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						key := fmt.Sprint("key", i)
						k, err := ls[0].Acquire(ctx, key)
						if err != nil {
							t.Errorf("acquire: %v", err)
							return
						}
						taken := make(chan time.Time, 1)
						go func() {
							defer close(taken)
							k, err := ls[1].Acquire(ctx, key)
							if err != nil {
								t.Errorf("the waiter: %v", err)
								return
							}
							taken <- time.Now()
							_ = k.Release(ctx)
						}()
						redistest.Eventually(t, patience, func() bool {
							info, err := ls[0].Inspect(ctx, key)
							return err == nil && info.Waiters == 1
						}, "none queues")
						released := time.Now()
						if err := k.Release(ctx); err != nil {
							t.Errorf("release: %v", err)
						}
						if took := (<-taken).Sub(released); !tc.polls && took > 700*time.Millisecond {
							t.Errorf("woken after %v: by the clock, not by the release", took)
						}
					})
				}
				wg.Wait()
				for _, l := range ls {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					if err := l.Close(ctx); err != nil {
						t.Errorf("close: %v", err)
					}
					cancel()
				}
			})
		}
	}
}

// A subscription that breaks is repeated, and wakes all that were named
// in between.
func TestABrokenSubscription(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	prefix := redistest.Prefix(t)
	a := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix))
	b := locker(t, redisClient(t, p.Addr()), lockmw.WithKeyPrefix(prefix))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	hold, free := acquire(t, a, "key"), make(chan error, 1)
	go func() {
		k, err := b.Acquire(ctx, "key")
		if err == nil {
			err = k.Release(ctx)
		}
		free <- err
	}()
	subscribed := func(want int64) {
		t.Helper()
		redistest.Eventually(t, patience, func() bool {
			names, err := s.Client(t).PubSubChannels(ctx, prefix+"*").Result()
			return err == nil && int64(len(names)) == want
		}, "want %d channels", want)
	}
	subscribed(1)
	redistest.Eventually(t, patience, func() bool { // an attempt of the waiter that meets the outage would fail
		before := scripts(t, s.Client(t))
		<-time.After(100 * time.Millisecond)
		return scripts(t, s.Client(t)) == before
	}, "the waiter polls often")
	p.Refuse()
	p.CloseConns()
	subscribed(0)
	if err := hold.Release(ctx); err != nil {
		t.Error(err)
	}
	p.Heal()
	if err := <-free; err != nil {
		t.Errorf("the waiter: %v", err)
	}
}

// scripts returns how many scripts a server ran.
func scripts(t *testing.T, rdb *redis.Client) string {
	t.Helper()
	_, rest, _ := strings.Cut(rdb.Info(t.Context(), "commandstats").Val(), "cmdstat_evalsha:calls=")
	calls, _, _ := strings.Cut(rest, ",")
	return calls
}
