package lockmw_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// An operator sees who holds a lock and who waits, and takes it away: the
// holder is told, and the next has a greater fence.
func TestInspectAndForceRelease(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		one, two := locker(t, rdb, lockmw.WithKeyPrefix(prefix)), locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix))
		if info, err := one.Inspect(t.Context(), "key"); err != nil || !reflect.DeepEqual(info, lockmw.Info{}) {
			t.Errorf("never held: %+v, %v", info, err)
		}
		// Who waits subscribes to what it is told; so the holder hears of its loss at once.
		warm := acquire(t, two, "warm")
		go func() {
			<-time.After(50 * time.Millisecond)
			_ = warm.Release(context.Background())
		}()
		acquire(t, one, "warm").Release(t.Context())

		k := acquire(t, one, "key")
		next := make(chan *lockmw.Lock, 1)
		go func() {
			n, err := two.Acquire(context.Background(), "key")
			if err != nil {
				t.Error(err)
			}
			next <- n
		}()
		redistest.Eventually(t, patience, func() bool {
			info, err := one.Inspect(t.Context(), "key")
			return err == nil && info.Held && info.Waiters == 1 && info.Left > 0 && info.Left <= 10*time.Second && info.Fence >= k.Fence()
		}, "the state is not seen")
		info, err := two.Inspect(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, "somebody else"); ok || err != nil {
			t.Errorf("taken from somebody else: %v, %v", ok, err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, info.Owner); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
		select {
		case <-k.Context().Done():
			if cause := context.Cause(k.Context()); !errors.Is(cause, lockmw.ErrLost) {
				t.Errorf("the holder was told %v", cause)
			}
		case <-time.After(time.Second):
			t.Error("the holder was not told")
		}
		n := <-next
		if n.Fence() <= k.Fence() {
			t.Errorf("fence %d after %d", n.Fence(), k.Fence())
		}
		if err := n.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, info.Owner); ok || err != nil {
			t.Errorf("taken twice: %v, %v", ok, err)
		}
	})
}
