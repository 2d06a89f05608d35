package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// The test binary is also a process of TestChaos, and of TestPermitsOfTheDeadReturn.
func TestMain(m *testing.M) {
	if locks := os.Getenv("LOCKMW_TEST_LOCKS"); locks != "" {
		worker(locks, os.Getenv("LOCKMW_TEST_DATABASE"))
		return
	}
	if addr := os.Getenv("LOCKMW_TEST_PERMIT"); addr != "" {
		permitHolder(addr)
	}
	redistest.Main(m)
}

const patience = 20 * time.Second

func locker(t testing.TB, rdb lockmw.Client, opts ...lockmw.Option) *lockmw.Locker {
	t.Helper()
	l, err := lockmw.New(rdb, append([]lockmw.Option{lockmw.WithKeyPrefix(redistest.Prefix(t)), lockmw.WithTimeout(2 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, l)
	return l
}

func acquire(t *testing.T, l *lockmw.Locker, key string) *lockmw.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	k, err := l.Acquire(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Several instances and goroutines, one counter without a lock of its own, and
// a store that refuses old fences.
func TestMutualExclusion(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		var inside, overlaps, served atomic.Int32
		var fence uint64
		var wg sync.WaitGroup
		for range 3 {
			l := locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix))
			for range 6 {
				wg.Go(func() {
					for range 6 {
						k, err := l.Acquire(t.Context(), "k")
						if err != nil {
							t.Error(err)
							return
						}
						if inside.Add(1) != 1 {
							overlaps.Add(1)
						}
						if k.Fence() <= fence {
							t.Errorf("fence %d after %d", k.Fence(), fence)
						}
						fence = k.Fence() // the race detector checks the exclusion too
						served.Add(1)
						inside.Add(-1)
						if err := k.Release(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		if overlaps.Load() != 0 || served.Load() != 108 {
			t.Errorf("%d overlaps, %d of 108 served", overlaps.Load(), served.Load())
		}
	})
}

func TestUncontendedCostsTwoRoundTrips(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		eachIFEQ(t, func(t *testing.T, has bool) {
			rdb := g.Client(t)
			h := withIFEQ(t, rdb, has)
			l := locker(t, rdb)
			for i := range 10 { // every node learns the scripts
				acquire(t, l, fmt.Sprint("warm", i)).Release(t.Context())
			}
			h.take()
			acquire(t, l, "k").Release(t.Context())
			if got, want := h.take(), map[bool]string{true: "evalsha swap", false: "evalsha evalsha"}[has]; got != want {
				t.Errorf("sent %s, want %s", got, want)
			}
		})
	})
}

func TestBusyTryAndWait(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		a, b := locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix)), locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix))
		k := acquire(t, a, "k")
		if _, err := b.TryAcquire(t.Context(), "k"); !errors.Is(err, lockmw.ErrBusy) || lockmw.RetryAfter(err) <= 0 || lockmw.RetryAfter(err) > 10*time.Second {
			t.Errorf("try: got %v, want ErrBusy with what is left of the lease", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Acquire(ctx, "k")
		if !errors.Is(err, lockmw.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) || lockmw.RetryAfter(fmt.Errorf("wrapped: %w", err)) <= 0 {
			t.Errorf("waiting in vain: got %v, again in %v", err, lockmw.RetryAfter(err))
		}
		if d := lockmw.RetryAfter(lockmw.ErrUnavailable) + lockmw.RetryAfter(nil); d != 0 {
			t.Errorf("other errors have a hint of %v", d)
		}
		got := make(chan time.Time)
		go func() {
			k, err := b.Acquire(context.WithoutCancel(ctx), "k")
			if err != nil {
				t.Error(err)
				close(got)
				return
			}
			got <- time.Now()
			k.Release(ctx)
		}()
		waitQueued(t, g.Client(t), prefix)
		released := time.Now()
		if err := k.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if woken := (<-got).Sub(released); woken > 700*time.Millisecond {
			t.Errorf("woken after %v: by the clock, not by the release", woken)
		}
		other, err := b.TryAcquire(t.Context(), "other")
		if err != nil {
			t.Fatalf("another key: %v", err)
		}
		other.Release(t.Context())
	})
}

// waitQueued waits until a waiter is queued in Redis.
func waitQueued(t *testing.T, rdb redis.UniversalClient, prefix string) {
	t.Helper()
	redistest.Eventually(t, patience, func() bool {
		found := false
		scan := func(c *redis.Client) {
			keys, _ := c.Keys(t.Context(), prefix+"*:q").Result()
			found = found || len(keys) > 0
		}
		if cluster, ok := rdb.(*redis.ClusterClient); ok {
			var mu sync.Mutex
			cluster.ForEachMaster(t.Context(), func(_ context.Context, c *redis.Client) error {
				mu.Lock()
				defer mu.Unlock()
				scan(c)
				return nil
			})
		} else {
			scan(rdb.(*redis.Client))
		}
		return found
	}, "none queues")
}

func TestRenewal(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	a := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(600*time.Millisecond), lockmw.WithTimeout(200*time.Millisecond))
	b := locker(t, rdb, lockmw.WithKeyPrefix(prefix))
	k := acquire(t, a, "k")
	until := time.Now().Add(1500 * time.Millisecond)
	redistest.Eventually(t, patience, func() bool {
		if _, err := b.TryAcquire(t.Context(), "k"); !errors.Is(err, lockmw.ErrBusy) {
			t.Errorf("a renewed lock is not busy: %v", err)
			return true
		}
		return time.Now().After(until)
	}, "")
	if err := k.Context().Err(); err != nil || k.Valid() <= 0 {
		t.Errorf("held for several leases: context %v, valid %v", err, k.Valid())
	}
	if err := k.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := k.Release(t.Context()); err != nil {
		t.Errorf("second release: %v", err)
	}
	if !errors.Is(k.Context().Err(), context.Canceled) || errors.Is(context.Cause(k.Context()), lockmw.ErrLost) {
		t.Errorf("after release: %v, cause %v", k.Context().Err(), context.Cause(k.Context()))
	}
}

func TestLost(t *testing.T) {
	lost := func(t *testing.T, k *lockmw.Lock, reason string) {
		t.Helper()
		select {
		case <-k.Context().Done():
		case <-time.After(patience):
			t.Fatal("the context does not end")
		}
		if cause := context.Cause(k.Context()); !errors.Is(cause, lockmw.ErrLost) || cause.Error() != "lockmw: lock lost: "+reason {
			t.Errorf("cause: got %v, want %s", cause, reason)
		}
		if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
			t.Errorf("release: got %v, want ErrLost", err)
		}
	}
	opts := []lockmw.Option{lockmw.WithTTL(900 * time.Millisecond), lockmw.WithTimeout(150 * time.Millisecond)}
	t.Run("deleted", func(t *testing.T) {
		s := redistest.NewServer(t)
		rdb := s.Client(t)
		k := acquire(t, locker(t, rdb, opts...), "k")
		rdb.FlushAll(t.Context())
		lost(t, k, "state-lost")
	})
	t.Run("taken", func(t *testing.T) {
		s := redistest.NewServer(t)
		rdb := s.Client(t)
		k := acquire(t, locker(t, rdb, opts...), "k")
		keys, _ := rdb.Keys(t.Context(), "*").Result()
		_, rest, _ := strings.Cut(rdb.Get(t.Context(), keys[0]).Val(), "|")
		rdb.Set(t.Context(), keys[0], "hanother|"+rest, time.Minute)
		lost(t, k, "taken")
	})
	for name, fault := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "paused": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewServer(t)
			k := acquire(t, locker(t, s.Client(t), opts...), "k")
			end := time.Now().Add(k.Valid()) // no other can hold it before
			fault(s)
			<-k.Context().Done()
			if now := time.Now(); now.After(end.Add(300 * time.Millisecond)) { // it may have been renewed once
				t.Errorf("cancelled %v after the lease", now.Sub(end))
			}
			lost(t, k, "expired")
			s.Resume()
		})
	}
}

func TestFencesGrow(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	l := locker(t, rdb)
	var last uint64
	for i := range 30 {
		k := acquire(t, l, "k")
		if k.Fence() <= last {
			t.Fatalf("fence %d after %d", k.Fence(), last)
		}
		last = k.Fence()
		k.Release(t.Context())
		if i%10 == 9 {
			rdb.FlushAll(t.Context()) // the clock alone keeps it growing
		}
	}
}

// A grant whose reply is lost is given back.
func TestALostReplyLeavesNothingHeld(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	direct := locker(t, s.Client(t), lockmw.WithKeyPrefix("p"))
	for name, opts := range map[string]*redis.Options{"honours": {Addr: p.Addr(), ContextTimeoutEnabled: true}, "defaults": {Addr: p.Addr()}} {
		t.Run(name, func(t *testing.T) {
			rdb := redis.NewClient(opts)
			defer rdb.Close()
			l := locker(t, rdb, lockmw.WithKeyPrefix("p"), lockmw.WithTimeout(100*time.Millisecond))
			redistest.Eventually(t, patience, func() bool {
				k, err := l.TryAcquire(t.Context(), "k")
				return err == nil && k.Release(t.Context()) == nil
			}, "not warm")
			p.SwallowReplies()
			start := time.Now()
			if _, err := l.TryAcquire(t.Context(), "k"); !errors.Is(err, lockmw.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v with a node timeout of 100ms", took)
			}
			p.CloseConns()
			p.Heal()
			redistest.Eventually(t, 5*time.Second, func() bool {
				k, err := direct.TryAcquire(t.Context(), "k")
				return err == nil && k.Release(t.Context()) == nil
			}, "still held: the lease is 10 seconds")
		})
	}
}

// Callers that give up at any moment leave neither a lock nor a place in the
// queue.
func TestRandomCancellation(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		prefix := redistest.Prefix(t)
		l := locker(t, rdb, lockmw.WithKeyPrefix(prefix))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				for range 25 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(4000))*time.Microsecond)
					if k, err := l.Acquire(ctx, "k"); err == nil {
						k.Release(ctx)
					} else if !errors.Is(err, lockmw.ErrBusy) {
						t.Errorf("got %v, want ErrBusy", err)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		redistest.Eventually(t, 5*time.Second, func() bool {
			k, err := l.TryAcquire(t.Context(), "k")
			return err == nil && k.Release(t.Context()) == nil
		}, "the lock is still held")
		fresh := locker(t, rdb, lockmw.WithKeyPrefix(prefix)) // no reservation or waiter may slow it down
		start := time.Now()
		acquire(t, fresh, "k").Release(t.Context())
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a fresh lock takes %v: a waiter is still queued", took)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	newLocker := func() *lockmw.Locker {
		return locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithMaxWaiters(1))
	}
	k := acquire(t, newLocker(), "k")
	waiter := newLocker()
	done := make(chan error, 1)
	go func() {
		k, err := waiter.Acquire(context.Background(), "k")
		if err == nil {
			k.Release(context.Background())
		}
		done <- err
	}()
	waitQueued(t, rdb, prefix)
	if _, err := newLocker().Acquire(t.Context(), "k"); !errors.Is(err, lockmw.ErrQueueFull) || !errors.Is(err, lockmw.ErrUnavailable) {
		t.Errorf("got %v, want ErrQueueFull", err)
	}
	k.Release(t.Context())
	if err := <-done; err != nil {
		t.Errorf("the waiter: %v", err)
	}
}

func TestClose(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	redistest.NoLeaks(t)
	l, err := lockmw.New(rdb, lockmw.WithKeyPrefix(redistest.Prefix(t)))
	if err != nil {
		t.Fatal(err)
	}
	k := acquire(t, l, "k")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Acquire(ctx, "k"); !errors.Is(err, lockmw.ErrBusy) { // starts the subscription
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close with a lock held: got %v", err)
	}
	if !errors.Is(context.Cause(k.Context()), lockmw.ErrLost) {
		t.Errorf("the lock left: cause %v", context.Cause(k.Context()))
	}
	if _, err := l.Acquire(t.Context(), "k"); !errors.Is(err, lockmw.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestWithoutPubSubRights(t *testing.T) {
	s := redistest.NewServer(t)
	admin := s.Client(t)
	if err := admin.Do(t.Context(), "acl", "setuser", "app", "on", ">pw", "~*", "resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	opt := s.Options()
	opt.Username, opt.Password = "app", "pw"
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	prefix := redistest.Prefix(t)
	l := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(2*time.Second), lockmw.WithTimeout(100*time.Millisecond))
	other := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(2*time.Second), lockmw.WithTimeout(100*time.Millisecond))
	k := acquire(t, l, "k")
	got := make(chan error, 1)
	go func() {
		k, err := other.Acquire(context.Background(), "k")
		if err == nil {
			k.Release(context.Background())
		}
		got <- err
	}()
	waitQueued(t, admin, "t")
	k.Release(t.Context())
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("a waiter hangs without the right to subscribe")
	}
	// A holder that died cannot be told so, and is succeeded all the same.
	keys := admin.Keys(t.Context(), "*{*}").Val()
	if len(keys) != 1 {
		t.Fatalf("keys: %v", keys)
	}
	admin.Set(t.Context(), keys[0], fmt.Sprintf("hdead:1|%d|2000|1|0", time.Now().Add(-time.Second).UnixMilli()), time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if k, err := other.Acquire(ctx, "k"); err != nil {
		t.Errorf("after a holder that died: %v", err)
	} else {
		_ = k.Release(t.Context())
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := lockmw.New(nil, nil, lockmw.WithName("{"), lockmw.WithKeyPrefix(""), lockmw.WithTTL(time.Millisecond), lockmw.WithWait(-1), lockmw.WithTimeout(-1),
		lockmw.WithMaxWaiters(0), lockmw.WithKey(nil), lockmw.WithLogger(nil))
	for _, option := range []string{"rdb", "WithName", "WithKeyPrefix", "WithTTL", "WithWait", "WithTimeout", "WithMaxWaiters", "WithKey", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), "lockmw: "+option+": ") {
			t.Errorf("%s is not reported in:\n%v", option, err)
		}
	}
}

// Waiters of one process take over from each other without asking Redis, with a
// fence each, in order; every sixteenth time others are served. A holder
// that loses the lock leaves no waiter behind that believes to have it.
func TestHandoff(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		one, two := locker(t, rdb, lockmw.WithKeyPrefix(prefix)), locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix))
		first := acquire(t, one, "key")
		var mu sync.Mutex
		var order, fences []uint64
		var wg sync.WaitGroup
		enter := func(l *lockmw.Locker, id uint64) {
			wg.Go(func() {
				k := acquire(t, l, "key")
				mu.Lock()
				order, fences = append(order, id), append(fences, k.Fence())
				mu.Unlock()
				if err := k.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		for id := range uint64(40) { // in this order, one after the other
			enter(one, id)
			redistest.Eventually(t, patience, func() bool { return one.Waiting("key") == int(id)+1 }, "does not wait")
		}
		enter(two, 1000)
		waitQueued(t, rdb, prefix)
		count := redistest.Count(rdb)
		fence := first.Fence()
		first.Release(t.Context())
		wg.Wait()
		if n := count.Trips(); n > 30 {
			t.Errorf("%d round trips for 40 locks", n)
		}
		if !slices.IsSorted(fences) || fences[0] <= fence || len(slices.Compact(slices.Clone(fences))) != 41 {
			t.Errorf("fences %v after %d", fences, fence)
		}
		at := slices.Index(order, 1000)
		if at < 10 || at > 20 {
			t.Errorf("the other process was served as number %d", at+1)
		}
		if mine := slices.Delete(slices.Clone(order), at, at+1); !slices.IsSorted(mine) {
			t.Errorf("not in order: %v", order)
		}
	})
}

// A holder that loses the lock: its next waiter asks Redis, and gets a greater
// fence.
func TestHandoffAfterALoss(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	l := locker(t, rdb, lockmw.WithTTL(600*time.Millisecond), lockmw.WithTimeout(200*time.Millisecond))
	k := acquire(t, l, "key")
	next := make(chan uint64, 1)
	go func() {
		n, err := l.Acquire(context.Background(), "key")
		if err != nil {
			t.Error(err)
			next <- 0
			return
		}
		next <- n.Fence()
		_ = n.Release(context.Background())
	}()
	redistest.Eventually(t, patience, func() bool { return l.Waiting("key") == 1 }, "does not wait")
	rdb.FlushAll(t.Context())
	<-k.Context().Done()
	if fence := <-next; fence <= k.Fence() {
		t.Errorf("fence %d after %d", fence, k.Fence())
	}
	if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
		t.Errorf("release: %v", err)
	}
}
