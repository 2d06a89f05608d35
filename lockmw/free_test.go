package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// A release without waiters is one call, SET … IFEQ or a script with one key, and
// leaves the same behind: after a grant, a renewal and a handoff.
func TestAReleaseWithoutWaiters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		eachIFEQ(t, func(t *testing.T, has bool) {
			rdb := g.Client(t)
			h := withIFEQ(t, rdb, has)
			renewed := make(chan struct{}, 100)
			l := locker(t, rdb, lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(700*time.Millisecond),
				lockmw.WithHooks(lockmw.Hooks{Renewed: func(context.Context, time.Duration, error) { renewed <- struct{}{} }}))
			want := map[bool]string{true: "swap", false: "evalsha"}[has]
			for i := range 10 { // every node learns the scripts, and whether there is SET … IFEQ is found out
				redistest.NoErrors(t, acquire(t, l, fmt.Sprint("warm", i)).Release(t.Context()))
			}
			last := uint64(0)
			for name, keep := range map[string]func(*lockmw.Lock) *lockmw.Lock{
				"granted": func(k *lockmw.Lock) *lockmw.Lock { return k },
				"renewed": func(k *lockmw.Lock) *lockmw.Lock { <-renewed; <-renewed; return k },
				"handed over": func(k *lockmw.Lock) *lockmw.Lock {
					for range 3 {
						next := make(chan *lockmw.Lock, 1)
						go func() { next <- must(l.Acquire(context.Background(), "key")) }()
						redistest.Eventually(t, patience, func() bool { return l.Waiting("key") == 1 }, "it does not wait")
						redistest.NoErrors(t, k.Release(t.Context()))
						k = <-next
					}
					return k
				},
			} {
				k := keep(acquire(t, l, "key"))
				fence := k.Fence()
				h.take()
				if err := k.Release(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if got := h.take(); got != want {
					t.Errorf("%s: sent %s, want %s", name, got, want)
				}
				value := rdb.Get(t.Context(), l.RedisKey("key")).Val()
				var first uint64
				if n, err := fmt.Sscanf(value, "f|0|0|%d|0", &first); n != 1 || err != nil || first > fence || fence-first > 3 || fence <= last {
					t.Errorf("%s: left behind %q, fence %d after %d", name, value, fence, last)
				}
				if ttl := rdb.PTTL(t.Context(), l.RedisKey("key")).Val(); ttl > 10*time.Minute || ttl < 9*time.Minute {
					t.Errorf("%s: time to live %v", name, ttl)
				}
				last = fence + 3
			}
		})
	})
}

func must(k *lockmw.Lock, err error) *lockmw.Lock {
	if err != nil {
		panic(err)
	}
	return k
}

// A waiter that came after the grant is woken: the release finds it, at the cost of one
// call more. A lock that is known to have waiters, because its holder has waited itself
// or a renewal says so, is released in one.
func TestAReleaseWakesTheNext(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		eachIFEQ(t, func(t *testing.T, has bool) {
			prefix, renewed := redistest.Prefix(t), make(chan struct{}, 1)
			rdb := g.Client(t)
			h := withIFEQ(t, rdb, has)
			a := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithHooks(lockmw.Hooks{Renewed: func(context.Context, time.Duration, error) {
				select {
				case renewed <- struct{}{}:
				default:
				}
			}}))
			b := locker(t, rdb, lockmw.WithKeyPrefix(prefix))
			queue := func(l *lockmw.Locker) <-chan *lockmw.Lock {
				t.Helper()
				next := make(chan *lockmw.Lock, 1)
				go func() { next <- must(l.Acquire(context.Background(), "key")) }()
				redistest.Eventually(t, patience, func() bool {
					info, err := l.Inspect(t.Context(), "key")
					return err == nil && info.Waiters == 1
				}, "it does not queue")
				return next
			}
			release := func(what string, k *lockmw.Lock, next <-chan *lockmw.Lock, want string) *lockmw.Lock {
				t.Helper()
				redistest.Eventually(t, patience, func() bool { // the waiter sleeps
					quiet := h.take() == ""
					<-time.After(20 * time.Millisecond)
					return quiet && h.take() == ""
				}, "it does not sleep")
				sent := make(chan string, 1)
				rel := time.Now()
				redistest.NoErrors(t, k.Release(t.Context()))
				sent <- h.take()
				k = <-next
				if took := time.Since(rel); took > 700*time.Millisecond {
					t.Errorf("%s: the waiter was served after %v: it was not woken", what, took)
				}
				if got := <-sent; !strings.HasPrefix(got+" ", want+" ") {
					t.Errorf("%s: sent %s, want %s", what, got, want)
				}
				return k
			}
			for range 2 { // whether there is SET … IFEQ is found out, and the subscriptions are there
				k := acquire(t, a, "key")
				next := queue(b)
				redistest.NoErrors(t, k.Release(t.Context()), (<-next).Release(t.Context()))
			}
			first := map[bool]string{true: "swap evalsha", false: "evalsha evalsha"}[has]
			k := acquire(t, a, "key")
			k = release("a waiter after the grant", k, queue(b), first)
			for i := range 3 { // each comes after the grant of the other
				l := a
				if i%2 == 1 {
					l = b
				}
				k = release("both wait in turn", k, queue(l), "evalsha")
			}
			redistest.NoErrors(t, k.Release(t.Context()))
			k = acquire(t, a, "key")
			next := queue(b)
			for len(renewed) > 0 {
				<-renewed
			}
			<-renewed
			redistest.NoErrors(t, release("a renewal says so", k, next, "evalsha").Release(t.Context()))
		})
	})
}

// With short sections most releases meet a waiter that comes at that moment. None is
// left behind.
func TestNoWaiterIsLeftBehind(t *testing.T) {
	eachIFEQ(t, func(t *testing.T, has bool) {
		rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
		h := withIFEQ(t, rdb, has)
		ls := []*lockmw.Locker{locker(t, rdb, lockmw.WithKeyPrefix(prefix)), locker(t, rdb, lockmw.WithKeyPrefix(prefix))}
		late := lateness()
		locks, slept := hammer(t, 700*time.Millisecond, 4, func(ctx context.Context, n int) (*lockmw.Lock, error) {
			return ls[n%2].Acquire(ctx, "key")
		})
		swaps := strings.Count(h.take(), "swap")
		t.Logf("%d locks, %d swaps, %d waits above 500ms", locks, swaps, slept)
		if worst := late(); slept > 0 && worst < 250*time.Millisecond {
			t.Errorf("%d of %d waits took longer than 500ms; timers were up to %v late", slept, locks, worst)
		}
		if has && swaps < 2 || !has && swaps > 2 {
			t.Errorf("%d swaps", swaps)
		}
	})
}

// A release whose reply was lost has released the lock, although another has it by then.
func TestALostReplyToARelease(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	h := withIFEQ(t, rdb, true)
	l := locker(t, rdb, lockmw.WithKeyPrefix(prefix))
	other := locker(t, redistest.Standalone(t).Client(t), lockmw.WithKeyPrefix(prefix))
	k := acquire(t, l, "key")
	var next *lockmw.Lock
	h.after = func() error {
		if next != nil {
			return nil
		}
		next = acquire(t, other, "key")
		return io.EOF
	}
	if err := k.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
	if next == nil || next.Context().Err() != nil {
		t.Fatal("the next has no lock")
	}
	if info, err := other.Inspect(t.Context(), "key"); err != nil || !info.Held || next.Release(t.Context()) != nil {
		t.Errorf("the release took the lock of the next: %+v, %v", info, err)
	}
}

// A lock that was taken away or flushed is not released, and its holder is told which.
func TestAReleaseOfALockThatIsGone(t *testing.T) {
	eachIFEQ(t, func(t *testing.T, has bool) {
		rdb := redistest.Standalone(t).Client(t)
		withIFEQ(t, rdb, has)
		l := locker(t, rdb)
		for want, lose := range map[string]func(key string){
			"taken":      func(key string) { rdb.Set(t.Context(), key, "f|0|0|1000|0", time.Minute) },
			"state-lost": func(key string) { rdb.Del(t.Context(), key) },
		} {
			k := acquire(t, l, "key")
			lose(l.RedisKey("key"))
			before := rdb.Get(t.Context(), l.RedisKey("key")).Val()
			if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			if after := rdb.Get(t.Context(), l.RedisKey("key")).Val(); after != before {
				t.Errorf("%s: the release wrote %q in place of %q", want, after, before)
			}
		}
	})
}

// In a cluster of several versions, and after a failover to an older node, a release that
// is rejected is done by the script in the same call.
func TestANodeWithoutIFEQReleases(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		h := withIFEQ(t, rdb, true)
		l := locker(t, rdb)
		redistest.NoErrors(t, acquire(t, l, "key").Release(t.Context()))
		var last uint64
		for i, lacks := range []bool{false, true, false, true} {
			h.lacks.Store(lacks)
			k := acquire(t, l, "key")
			if err := k.Release(t.Context()); err != nil || k.Fence() <= last {
				t.Errorf("step %d: %v, fence %d after %d", i, err, k.Fence(), last)
			}
			last = k.Fence()
			if info, err := l.Inspect(t.Context(), "key"); err != nil || info.Held {
				t.Errorf("step %d: %+v, %v", i, info, err)
			}
		}
		if got := strings.Count(h.take(), "swap"); got != 3 {
			t.Errorf("%d swaps, want three: the first, one that is done, and one that is rejected", got)
		}
	})
}

// A release takes as long as one call may, however many it is made of.
func TestAReleaseIsBounded(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	rdb := redisClient(t, p.Addr())
	h := withIFEQ(t, rdb, true)
	const timeout = 300 * time.Millisecond
	l := locker(t, rdb, lockmw.WithTimeout(timeout))
	k := acquire(t, l, "key")
	var swaps atomic.Int32
	h.after = func() error {
		if swaps.Add(1) == 1 {
			<-time.After(timeout * 2 / 3)
			p.Mute()
			return syntaxError{}
		}
		return nil
	}
	start := time.Now()
	err := k.Release(t.Context())
	if took := time.Since(start); !errors.Is(err, lockmw.ErrUnavailable) || took > timeout+200*time.Millisecond {
		t.Errorf("got %v after %v, want ErrUnavailable after %v", err, took, timeout)
	}
	p.CloseConns()
	p.Heal()
}
