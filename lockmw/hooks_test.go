package lockmw_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

func TestHooks(t *testing.T) {
	s := redistest.NewServer(t)
	var mu sync.Mutex
	var renewed, failed, lost int
	var acquired, released uint64
	var held time.Duration
	const ttl = 900 * time.Millisecond
	hooks := lockmw.Hooks{
		Acquired: func(_ context.Context, fence uint64, _ time.Duration) { acquired = fence },
		Released: func(ctx context.Context, fence uint64, d time.Duration) {
			if ctx.Err() != nil {
				t.Error("Released has a context that ended")
			}
			released, held = fence, d
		},
		Renewed: func(_ context.Context, left time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if left > ttl || left < 0 {
				t.Errorf("renewed with %v left", left)
			}
			if err != nil {
				failed++
				return
			}
			renewed++
		},
		Lost: func(ctx context.Context, fence uint64, reason string) {
			mu.Lock()
			defer mu.Unlock()
			if lost++; fence != acquired || reason != "expired" || !errors.Is(context.Cause(ctx), lockmw.ErrLost) {
				t.Errorf("lost: %s with fence %d, want %d, %v", reason, fence, acquired, context.Cause(ctx))
			}
		},
	}
	count := func(n *int) int { mu.Lock(); defer mu.Unlock(); return *n }
	l := locker(t, s.Client(t), lockmw.WithTTL(ttl), lockmw.WithTimeout(150*time.Millisecond), lockmw.WithHooks(hooks))
	k := acquire(t, l, "key")
	redistest.Eventually(t, patience, func() bool { return count(&renewed) >= 2 }, "not renewed twice")
	if err := k.Release(t.Context()); err != nil || acquired != k.Fence() || released != k.Fence() || held < ttl/3 {
		t.Errorf("released: %v, fences %d and %d, want %d, held %v", err, acquired, released, k.Fence(), held)
	}
	k = acquire(t, l, "key")
	s.Pause()
	<-k.Context().Done()
	s.Resume()
	_ = k.Release(t.Context())
	if count(&failed) == 0 || count(&lost) != 1 {
		t.Errorf("%d renewals failed, %d locks lost, want some and 1", count(&failed), count(&lost))
	}
}
