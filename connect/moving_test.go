package connect_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A pipeline follows a key that has moved to another node without waiting as long as
// the cache waits for Redis altogether.
func TestPipelinesFollowASlotThatMoves(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	rdb := connecttest.Open(t, c.Target().URL).Client()
	redistest.NoErrors(t, rdb.Set(t.Context(), "k", "v", time.Minute).Err())
	move := c.OpenSlot(t, "k")
	move.Migrate(t, "k")
	fastest := time.Hour
	for range 20 {
		begun := time.Now()
		var got *redis.StringCmd
		_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error { got = p.Get(t.Context(), "k"); return nil })
		if err != nil || got.Val() != "v" {
			t.Fatalf("got %q, %v", got.Val(), err)
		}
		fastest = min(fastest, time.Since(begun))
	}
	if fastest > 8*time.Millisecond {
		t.Errorf("the fastest of 20 pipelines took %v", fastest)
	}
	move.Finish(t)
	if got, err := rdb.Get(t.Context(), "k").Result(); got != "v" || err != nil {
		t.Errorf("after the move: %q, %v", got, err)
	}
}
