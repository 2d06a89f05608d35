package bounded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// A script whose keys are on both sides of a slot that moves is sent again until the
// slot has moved, and runs once.
func TestCallsWaitForASlotThatMoves(t *testing.T) {
	cluster := redistest.NewCluster(t, 0)
	rdb := cluster.Target().Client(t)
	c := bounded.New(rdb)
	both := redis.NewScriptServerSHA("redis.call('INCR', KEYS[2]) return {redis.call('INCR', KEYS[1])}")
	calls := map[string]func(ctx context.Context, keys []string) (int64, error){
		"Ints": func(ctx context.Context, keys []string) (int64, error) {
			all, err := c.Ints(ctx, both, keys)
			if err != nil {
				return 0, err
			}
			return all[0], nil
		},
		"Run": func(ctx context.Context, keys []string) (int64, error) {
			all, err := c.Run(ctx, both, keys).Int64Slice()
			if err != nil {
				return 0, err
			}
			return all[0], nil
		},
	}
	for name, call := range calls {
		keys := []string{"{" + name + "}a", "{" + name + "}b"}
		if n, err := call(t.Context(), keys); n != 1 || err != nil {
			t.Fatalf("%s: before: %d, %v", name, n, err)
		}
		move := cluster.OpenSlot(t, keys[0])
		move.Migrate(t, keys[0])
		bound, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := call(bound, keys)
		cancel()
		if !redis.HasErrorPrefix(err, "TRYAGAIN") || !unavailable.Is(err) {
			t.Errorf("%s: while the slot is open: %v, want TRYAGAIN at the deadline", name, err)
		}
		done := make(chan error, 1)
		go func() {
			n, err := call(t.Context(), keys)
			if err == nil && n != 2 {
				err = errors.New("it did not run once")
			}
			done <- err
		}()
		move.Finish(t)
		if err := <-done; err != nil {
			t.Errorf("%s: after the move: %v", name, err)
		}
		if n, err := rdb.Get(t.Context(), keys[1]).Int(); n != 2 || err != nil {
			t.Errorf("%s: the second key is %d, %v, want 2", name, n, err)
		}
	}
}

// Other errors, and none, are returned at once.
func TestOnlyTRYAGAINIsSentAgain(t *testing.T) {
	for _, want := range []error{nil, errors.New("TRYAGAIN"), redis.ErrClosed, context.Canceled} {
		n := 0
		err := bounded.WhileMoving(t.Context(), func() error { n++; return want })
		if n != 1 || !errors.Is(err, want) {
			t.Errorf("%v: sent %d times, %v", want, n, err)
		}
	}
}
