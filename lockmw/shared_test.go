package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// Readers share, a writer is alone, over two instances.
func TestReadersAndWriters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var lockers []*lockmw.Locker
		for range 2 {
			lockers = append(lockers, locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithReadWrite(true)))
		}
		var readers, writers, together, most atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				l := lockers[i%2]
				for n := range 15 {
					if (n+i)%4 == 0 {
						k, err := l.Acquire(t.Context(), "key")
						if err != nil {
							t.Error(err)
							return
						}
						if w := writers.Add(1); w != 1 || readers.Load() != 0 {
							t.Errorf("%d writers and %d readers", w, readers.Load())
						}
						<-time.After(time.Millisecond)
						writers.Add(-1)
						_ = k.Release(t.Context())
						continue
					}
					k, err := l.AcquireShared(t.Context(), "key")
					if err != nil {
						t.Error(err)
						return
					}
					if r := readers.Add(1); r > 1 {
						together.Add(1)
						most.Store(max(most.Load(), r))
					}
					if writers.Load() != 0 {
						t.Error("a writer with a reader")
					}
					<-time.After(time.Millisecond)
					readers.Add(-1)
					_ = k.Release(t.Context())
				}
			})
		}
		wg.Wait()
		if together.Load() == 0 {
			t.Error("no two readers shared it")
		}
		t.Logf("up to %d readers at once", most.Load())
	})
}

// A writer that waits comes before the readers that came after it, and a reader
// knows the fence of the last writer.
func TestAWriterDoesNotStarve(t *testing.T) {
	rdb, prefix := redistest.NewServer(t).Client(t), redistest.Prefix(t)
	one := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithReadWrite(true))
	two := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithReadWrite(true))
	first, err := one.AcquireShared(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 2)
	var fence atomic.Uint64
	wait := func(l *lockmw.Locker, name string, acquire func(context.Context, string) (*lockmw.Lock, error)) {
		k, err := acquire(t.Context(), "key")
		if err != nil {
			t.Error(err)
			return
		}
		order <- name
		if name == "writer" {
			fence.Store(k.Fence())
		} else if k.Fence() != fence.Load() {
			t.Errorf("the reader has fence %d, want the writer's %d", k.Fence(), fence.Load())
		}
		_ = k.Release(t.Context())
	}
	var wg sync.WaitGroup
	wg.Go(func() { wait(two, "writer", two.Acquire) })
	waiters := func(n int) {
		redistest.Eventually(t, patience, func() bool { i, _ := one.Inspect(t.Context(), "key"); return i.Waiters == n }, "not %d waiters", n)
	}
	waiters(1)
	if _, err := one.TryAcquireShared(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Errorf("a reader before the writer that waits: %v", err)
	}
	wg.Go(func() { wait(one, "reader", one.AcquireShared) })
	waiters(2)
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if a, b := <-order, <-order; a != "writer" || b != "reader" {
		t.Errorf("got %s, %s", a, b)
	}
}

// permitHolder is a process that takes a permit and stands until it is killed.
func permitHolder(addr string) {
	rdb := redisClientFor(addr)
	l, err := lockmw.New(rdb, lockmw.WithKeyPrefix("permits"), lockmw.WithPermits(5), lockmw.WithTTL(permitTTL))
	if err != nil {
		panic(err)
	}
	if _, err := l.Acquire(context.Background(), "key"); err != nil {
		panic(err)
	}
	fmt.Println("holds")
	select {}
}

const permitTTL = time.Second

// Of five holders three are killed: within two leases there are five permits again, and at
// no time more than five.
func TestPermitsOfTheDeadReturn(t *testing.T) {
	s := redistest.NewServer(t)
	l := locker(t, s.Client(t), lockmw.WithKeyPrefix("permits"), lockmw.WithPermits(5), lockmw.WithTTL(permitTTL), lockmw.WithTimeout(permitTTL/4))
	var all []*exec.Cmd
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LOCKMW_TEST_PERMIT="+s.Addr())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if _, err := out.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	if i, err := l.Inspect(t.Context(), "key"); err != nil || i.Holders != 5 || !i.Held || i.Left <= 0 {
		t.Errorf("inspect: %+v %v", i, err)
	}
	if _, err := l.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Errorf("the sixth: %v", err)
	}
	for _, cmd := range all[:3] {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*permitTTL+patience/4)
	defer cancel()
	for i := range 3 {
		if _, err := l.Acquire(ctx, "key"); err != nil {
			t.Errorf("permit %d of the dead: %v", i+1, err)
		}
	}
	if _, err := l.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Errorf("a sixth after that: %v", err)
	}
	other := locker(t, s.Client(t), lockmw.WithKeyPrefix("permits"), lockmw.WithPermits(4))
	if _, err := other.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrSetup) || !errors.Is(err, lockmw.ErrUnavailable) || !strings.Contains(err.Error(), "permits") {
		t.Errorf("another number: %v", err)
	}
	i, err := l.Inspect(t.Context(), "key")
	if ok, err2 := l.ForceRelease(t.Context(), i.Key, i.Owner); !ok || err != nil || err2 != nil {
		t.Errorf("force: %v %v %v", ok, err, err2)
	}
	if k, err := l.TryAcquire(t.Context(), "key"); err != nil {
		t.Errorf("after that: %v", err)
	} else {
		_ = k.Release(t.Context())
	}
	closed, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Close(closed) // the three are not released
}

// Never more than the permits, over instances, and all of them are used.
func TestPermits(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var inside, most atomic.Int32
		fences := make(chan uint64, 200)
		var wg sync.WaitGroup
		for range 3 {
			l := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithPermits(3))
			for range 4 {
				wg.Go(func() {
					for range 10 {
						k, err := l.Acquire(t.Context(), "key")
						if err != nil {
							t.Error(err)
							return
						}
						fences <- k.Fence()
						if n := inside.Add(1); n > 3 {
							t.Errorf("%d inside", n)
						} else {
							most.Store(max(most.Load(), n))
						}
						<-time.After(2 * time.Millisecond)
						inside.Add(-1)
						_ = k.Release(t.Context())
					}
				})
			}
		}
		wg.Wait()
		if most.Load() != 3 {
			t.Errorf("%d of 3 permits were used", most.Load())
		}
		close(fences)
		seen := map[uint64]bool{}
		for f := range fences {
			if seen[f] {
				t.Errorf("fence %d twice", f)
			}
			seen[f] = true
		}
	})
}

// A lease that is not renewed is lost, a clock that is set takes no permit away.
func TestSharedLeases(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 20 * time.Second, "back": -20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.NewServer(t, redistest.WithClock())
			opts := []lockmw.Option{lockmw.WithKeyPrefix("clock"), lockmw.WithReadWrite(true), lockmw.WithTTL(2 * time.Second), lockmw.WithTimeout(500 * time.Millisecond)}
			k, err := locker(t, s.Client(t), opts...).AcquireShared(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			s.SetClock(t, step)
			for start := time.Now(); time.Since(start) < 3*time.Second; {
				if _, err := locker(t, s.Client(t), opts...).TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
					t.Fatalf("%v after the step: %v, want ErrBusy", time.Since(start), err)
				}
				<-time.After(50 * time.Millisecond)
			}
			if err := k.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("lost", func(t *testing.T) {
		s := redistest.NewServer(t)
		rdb := s.Client(t)
		k, err := locker(t, rdb, lockmw.WithPermits(2), lockmw.WithTTL(900*time.Millisecond), lockmw.WithTimeout(150*time.Millisecond)).Acquire(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		rdb.FlushAll(t.Context())
		<-k.Context().Done()
		if cause := context.Cause(k.Context()); !errors.Is(cause, lockmw.ErrLost) {
			t.Errorf("got %v", cause)
		}
	})
}

// A reader or writer that was killed while it waited, at the head of the queue,
// keeps no other waiting for long.
func TestADeadHeadOfTheQueueIsPassedOver(t *testing.T) {
	s := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, s.Addr())
	prefix := redistest.Prefix(t)
	opts := []lockmw.Option{lockmw.WithKeyPrefix(prefix), lockmw.WithReadWrite(true)}
	holder, dead, next := locker(t, s.Client(t), opts...), locker(t, redisClientFor(proxy.Addr()), opts...), locker(t, s.Client(t), opts...)
	k := acquire(t, holder, "key")
	ctx, cancel := context.WithCancel(t.Context())
	waiters := func(n int) {
		redistest.Eventually(t, patience, func() bool { i, _ := holder.Inspect(t.Context(), "key"); return i.Waiters == n }, "not %d waiters", n)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = dead.Acquire(ctx, "key") })
	waiters(1)
	wg.Go(func() {
		k, err := next.Acquire(t.Context(), "key")
		if err != nil {
			t.Error(err)
			return
		}
		_ = k.Release(t.Context())
	})
	waiters(2)
	proxy.Refuse()
	cancel()
	start := time.Now()
	_ = k.Release(t.Context())
	wg.Wait()
	if took := time.Since(start); took > 2500*time.Millisecond {
		t.Errorf("the next had to wait for %v", took)
	}
	proxy.Heal()
}

// With WithReadWrite, GETs run beside each other and a POST alone.
func TestHandlerReadersAndWriters(t *testing.T) {
	l := locker(t, redistest.Standalone(t).Client(t), lockmw.WithReadWrite(true), lockmw.WithWait(0), lockmw.WithKey(byPath))
	begun, end := make(chan bool), make(chan bool)
	h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-end
	}))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if w := request(h, "GET", "/"); w.Code != 200 {
				t.Errorf("a reader: %d %s", w.Code, w.Body)
			}
		})
		<-begun // both at once
	}
	if w := request(h, "POST", "/"); w.Code != 409 {
		t.Errorf("a writer beside readers: %d", w.Code)
	}
	close(end)
	wg.Wait()
	wg.Go(func() { <-begun })
	if w := request(h, "POST", "/"); w.Code != 200 {
		t.Errorf("a writer after them: %d", w.Code)
	}
	wg.Wait()
}

func TestSharedLockMistakes(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	if _, err := locker(t, rdb).AcquireShared(t.Context(), "key"); !errors.As(err, new(*lockmw.OptionError)) {
		t.Errorf("a reader without WithReadWrite: %v", err)
	}
	if _, err := lockmw.New(rdb, lockmw.WithPermits(0)); err == nil || !strings.Contains(err.Error(), "WithPermits") {
		t.Errorf("no permits: %v", err)
	}
	if _, err := lockmw.New(rdb, lockmw.WithPermits(2), lockmw.WithReadWrite(true)); err == nil {
		t.Error("both modes")
	}
	if _, err := lockmw.NewRedlock([]lockmw.Client{rdb, rdb, rdb}, lockmw.WithReadWrite(true)); err == nil {
		t.Error("readers of masters that vote")
	}
}
