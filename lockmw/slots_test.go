package lockmw_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// refusals counts the replies of a cluster that refuse a call because its slot moves.
type refusals struct {
	mu sync.Mutex
	n  int
}

func (*refusals) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *refusals) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "TRYAGAIN") {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.n++
		}
		return err
	}
}

func (*refusals) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *refusals) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// While a slot is open a lock without waiters is acquired, renewed and released
// as ever, each in one call: its queue has no key yet, so a call with all keys of a lock
// would be refused until the slot has moved.
func TestAnOpenSlotRefusesNoLockWithoutWaiters(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	eachIFEQ(t, func(t *testing.T, has bool) {
		rdb := c.Target().Client(t)
		h, refused := withIFEQ(t, rdb, has), &refusals{}
		rdb.AddHook(refused)
		renewed := make(chan error, 100)
		l := locker(t, rdb, lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(700*time.Millisecond),
			lockmw.WithHooks(lockmw.Hooks{Renewed: func(_ context.Context, _ time.Duration, err error) { renewed <- err }}))
		for range 2 {
			redistest.NoErrors(t, acquire(t, l, "key").Release(t.Context()))
		}
		key, fence := l.RedisKey("key"), uint64(0)
		round := func(what string) {
			t.Helper()
			k := acquire(t, l, "key")
			redistest.NoErrors(t, <-renewed, k.Release(t.Context()))
			if k.Fence() <= fence {
				t.Errorf("%s: fence %d after %d", what, k.Fence(), fence)
			}
			fence = k.Fence()
		}
		k := acquire(t, l, "key")
		move := c.OpenSlot(t, key)
		h.take()
		redistest.NoErrors(t, k.Release(t.Context()))
		if got, want := h.take(), map[bool]string{true: "swap", false: "evalsha"}[has]; got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
		round("while the slot is open")
		k = acquire(t, l, "key")
		move.Migrate(t, key)
		redistest.NoErrors(t, k.Release(t.Context()))
		round("after its key has moved")
		move.Finish(t)
		round("after the slot has moved")
		if n := refused.count(); n != 0 {
			t.Errorf("%d calls were refused", n)
		}
	})
}

// The renewal of a permit, and its end by an operator, need no queue either.
func TestAnOpenSlotRefusesNoRenewalOfAPermit(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	rdb, refused := c.Target().Client(t), &refusals{}
	renewed := make(chan error, 100)
	l := locker(t, rdb, lockmw.WithPermits(2), lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(300*time.Millisecond),
		lockmw.WithHooks(lockmw.Hooks{Renewed: func(_ context.Context, _ time.Duration, err error) { renewed <- err }}))
	k := acquire(t, l, "key")
	rdb.AddHook(refused)
	move := c.OpenSlot(t, l.RedisKey("key"))
	for len(renewed) > 0 {
		<-renewed
	}
	redistest.NoErrors(t, <-renewed, <-renewed)
	key := l.RedisKey("key")
	owners, err := rdb.ZRange(t.Context(), key+":p", 0, -1).Result()
	if err != nil || len(owners) != 1 {
		t.Fatal(owners, err)
	}
	if taken, err := l.ForceRelease(t.Context(), key, owners[0]); !taken || err != nil {
		t.Errorf("force release: %t, %v", taken, err)
	}
	if n := refused.count(); n != 0 {
		t.Errorf("%d calls were refused", n)
	}
	move.Finish(t)
	_ = k.Release(t.Context())
}
