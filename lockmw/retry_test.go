package lockmw_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// cut is a client whose connections break in the middle of a reply, once.
type cut struct {
	*redis.Client
	proxy   *redistest.Proxy
	armed   atomic.Bool
	refused atomic.Int32 // dials that are refused before one comes about
}

func newCut(t *testing.T, s *redistest.Server) *cut {
	t.Helper()
	c := &cut{proxy: redistest.NewProxy(t, s.Addr())}
	c.Client = redis.NewClient(&redis.Options{
		Addr: c.proxy.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if c.armed.Load() {
				if c.refused.Add(-1) >= 0 {
					return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("refused")}
				}
				c.proxy.Heal()
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// next has the reply of the next call lost with its connection, and so many
// dials after it refused.
func (c *cut) next(refused int32) {
	c.refused.Store(refused)
	c.proxy.ResetMidReply(2)
	c.armed.Store(true)
}

// A lock whose grant was lost with the connection, as in a restart, is asked for once
// more by the same owner, which has it then: no error, one grant, one fence.
func TestALostGrantIsRetried(t *testing.T) {
	for refusedName, refused := range map[string]int32{"cut": 0, "cut, then refused": 5} {
		for mode, tc := range map[string]struct {
			opts []lockmw.Option
			take func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error)
		}{
			"try":    {take: func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error) { return l.TryAcquire(ctx, "key") }},
			"wait":   {take: func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error) { return l.Acquire(ctx, "key") }},
			"writer": {[]lockmw.Option{lockmw.WithReadWrite(true)}, func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error) { return l.Acquire(ctx, "key") }},
			"reader": {[]lockmw.Option{lockmw.WithReadWrite(true)}, func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error) {
				return l.AcquireShared(ctx, "key")
			}},
			"permit": {[]lockmw.Option{lockmw.WithPermits(2)}, func(ctx context.Context, l *lockmw.Locker) (*lockmw.Lock, error) {
				return l.TryAcquire(ctx, "key")
			}},
		} {
			t.Run(mode+", "+refusedName, func(t *testing.T) {
				t.Parallel()
				s := redistest.NewServer(t)
				c, prefix := newCut(t, s), redistest.Prefix(t)
				l := locker(t, c, append(tc.opts, lockmw.WithKeyPrefix(prefix))...)
				other := locker(t, s.Client(t), append(tc.opts, lockmw.WithKeyPrefix(prefix))...)
				k, err := tc.take(t.Context(), l) // it knows the scripts then
				if err != nil {
					t.Fatal(err)
				}
				before := k.Fence()
				_ = k.Release(t.Context())
				c.next(refused)
				if k, err = tc.take(t.Context(), l); err != nil {
					t.Fatalf("acquire: %v", err)
				}
				info, err := other.Inspect(t.Context(), "key")
				if err != nil || !info.Held || info.Holders != 1 || info.Waiters != 0 {
					t.Errorf("in Redis: %+v, %v, want one holder", info, err)
				}
				if mode == "try" || mode == "wait" { // sixteen fences are reserved with a grant
					if k.Fence() <= before || info.Fence != k.Fence()+15 {
						t.Errorf("fence %d after %d, in Redis up to %d", k.Fence(), before, info.Fence)
					}
				}
				c.armed.Store(false)
				c.next(refused) // the release, too
				if err := k.Release(t.Context()); err != nil {
					t.Errorf("release: %v", err)
				}
				redistest.Eventually(t, patience, func() bool {
					info, err := other.Inspect(t.Context(), "key")
					return err == nil && !info.Held
				}, "it is still held")
				if err := l.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The same of masters that vote, all of which lose their replies at once.
func TestLostVotesAreRetried(t *testing.T) {
	m := newMasters(t, 3)
	var cuts []*cut
	var nodes []lockmw.Client
	for _, s := range m.servers {
		c := newCut(t, s)
		cuts, nodes = append(cuts, c), append(nodes, c)
	}
	l, err := lockmw.NewRedlock(nodes, lockmw.WithKeyPrefix(m.prefix), lockmw.WithTTL(5*time.Second), lockmw.WithTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, l)
	before := acquire(t, l, "key")
	_ = before.Release(t.Context())
	for _, c := range cuts {
		c.next(0)
	}
	k, err := l.TryAcquire(t.Context(), "key")
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	if k.Fence() <= before.Fence() {
		t.Errorf("fence %d after %d", k.Fence(), before.Fence())
	}
	if _, err := m.locker(t).TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Errorf("another got %v, want ErrBusy", err)
	}
	if err := k.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// A renewal whose reply was lost is asked for again at once, so the lock is not
// late; one that Redis holds up is, and the hook says how late.
func TestLateRenewals(t *testing.T) {
	const ttl = 1500 * time.Millisecond
	s := redistest.NewServer(t)
	c := newCut(t, s)
	var mu sync.Mutex
	var late []time.Duration
	renewed := 0
	l := locker(t, c, lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/5), lockmw.WithHooks(lockmw.Hooks{
		Renewed: func(_ context.Context, _ time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				renewed++
			}
		},
		RenewedLate: func(_ context.Context, d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			late = append(late, d)
		},
	}))
	count := func() (int, int) { mu.Lock(); defer mu.Unlock(); return renewed, len(late) }
	slow := lateness()
	k := acquire(t, l, "key")
	redistest.Eventually(t, patience, func() bool { n, _ := count(); return n == 1 }, "not renewed") // the server knows the script
	c.next(1)
	redistest.Eventually(t, patience, func() bool { n, _ := count(); return n >= 2 }, "not renewed again")
	if _, n := count(); n > 0 && slow() < ttl/20 {
		t.Errorf("%v late although it was asked again at once", late)
	}
	n, _ := count()
	begun := time.Now()
	s.Pause()
	redistest.Eventually(t, patience, func() bool { return time.Since(begun) > ttl/3+ttl/4 }, "time stands still")
	s.Resume()
	redistest.Eventually(t, patience, func() bool { now, hooks := count(); return now > n && hooks > 0 }, "no late renewal")
	mu.Lock()
	if d := late[len(late)-1]; d < ttl/12 || d > ttl {
		t.Errorf("late by %v", d)
	}
	mu.Unlock()
	if err := k.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
}
