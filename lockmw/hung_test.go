package lockmw_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// Each call returns when a server that hangs (SIGSTOP) has had its node
// timeout, whatever the client: one that ends its calls with their contexts,
// and one with the options that go-redis has by default, which waits for seconds.
func TestAHungServerBlocksNoCall(t *testing.T) {
	const (
		node  = 500 * time.Millisecond
		slack = 500 * time.Millisecond // of a busy machine; go-redis waits for 5s
	)
	for name, opts := range map[string]redis.Options{"honours deadlines": {ContextTimeoutEnabled: true}, "default options": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait
			s := redistest.NewServer(t)
			opts.Addr = s.Addr()
			rdb := redis.NewClient(&opts)
			t.Cleanup(func() { _ = rdb.Close() })
			prefix := redistest.Prefix(t)
			newLocker := func() *lockmw.Locker {
				l, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(4*time.Second), lockmw.WithTimeout(node))
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			l, other := newLocker(), newLocker()
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			held := acquire(t, other, "held")
			if _, err := l.Acquire(short, "held"); !errors.Is(err, lockmw.ErrBusy) { // it has subscribed now
				t.Fatalf("got %v, want ErrBusy", err)
			}
			mine := acquire(t, l, "mine")
			queued := make(chan error, 1)
			waits, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				_, err := l.Acquire(waits, "held")
				queued <- err
			}()
			waitQueued(t, s.Client(t), prefix)

			s.Pause()
			defer s.Resume()
			within := func(what string, calls time.Duration, fn func() error, want ...error) {
				t.Helper()
				late, start := lateness(), time.Now()
				err := fn()
				took := time.Since(start)
				if worst := late(); took > calls*node+slack+worst {
					t.Errorf("%s took %v, want %d timeouts of %v", what, took, calls, node)
				}
				if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
					t.Errorf("%s: got %v, want %v", what, err, want)
				}
			}
			ctx := context.WithoutCancel(t.Context())
			take := func(acquire func(context.Context, string) (*lockmw.Lock, error), key string) func() error {
				return func() error { _, err := acquire(ctx, key); return err }
			}
			within("Acquire", 1, take(l.Acquire, "free"), lockmw.ErrUnavailable)
			within("TryAcquire", 1, take(l.TryAcquire, "free"), lockmw.ErrUnavailable)
			within("Inspect", 1, func() error { _, err := l.Inspect(ctx, "mine"); return err }, lockmw.ErrUnavailable)
			within("ForceRelease", 1, func() error { _, err := l.ForceRelease(ctx, l.RedisKey("mine"), "x"); return err }, lockmw.ErrUnavailable)
			within("a cancelled wait", 1, func() error { stop(); return <-queued }, lockmw.ErrBusy, lockmw.ErrUnavailable)
			within("Release", 1, func() error { return mine.Release(ctx) }, lockmw.ErrUnavailable)
			within("being told", 8, func() error { <-held.Context().Done(); return context.Cause(held.Context()) }, lockmw.ErrLost)
			within("Release of a lock that was lost", 1, func() error { return held.Release(ctx) }, lockmw.ErrLost)
			// What is just being taken back, and a release behind a renewal.
			within("Close", 2, func() error { return l.Close(ctx) }, nil)
			within("Close", 2, func() error { return other.Close(ctx) }, nil)
		})
	}
}

// A server that hangs between the answer that the lock is busy and the
// subscription blocks no caller either: not the call that subscribes, and not the
// others of its process.
func TestAHungSubscriptionBlocksNoCall(t *testing.T) {
	const node, slack = 500 * time.Millisecond, 500 * time.Millisecond
	for name, honours := range map[string]bool{"honours deadlines": true, "default options": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait
			s := redistest.NewServer(t)
			p := redistest.NewProxy(t, s.Addr())
			var hang atomic.Bool
			hung := make(chan struct{})
			rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), ContextTimeoutEnabled: honours, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if hang.CompareAndSwap(true, false) { // the connection of the subscription
					p.Mute()
					close(hung)
				}
				return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
			}})
			t.Cleanup(func() { _ = rdb.Close() })
			prefix := redistest.Prefix(t)
			held := acquire(t, locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix)), "held")
			l, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(node))
			if err != nil {
				t.Fatal(err)
			}
			acquire(t, l, "warm").Release(t.Context())
			hang.Store(true)
			late, start := lateness(), time.Now()
			got := make(chan error, 2)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			go func() { _, err := l.Acquire(ctx, "held"); got <- err }()
			<-hung
			go func() { _, err := l.Acquire(ctx, "other"); got <- err }()
			for range 2 {
				if err := <-got; !errors.Is(err, lockmw.ErrBusy) && !errors.Is(err, lockmw.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			}
			took := time.Since(start)
			if took > 100*time.Millisecond+2*node+slack {
				t.Errorf("a wait of 100ms took %v", took)
			}
			start = time.Now()
			if err := l.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if took = time.Since(start); took > 3*node+slack+late() {
				t.Errorf("Close took %v", took)
			}
			p.Heal()
			_ = held.Release(t.Context())
		})
	}
}
