package idempotency_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// What Redis itself answers for one record concerns that record: others go on.
func TestAnAnswerConcernsItsRecord(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var runs atomic.Int32
		h := keeper(t, rdb, prefix).Handler(paid(&runs))
		count := redistest.Count(rdb)
		var key string
		grab := &keyOfLookup{key: &key}
		rdb.AddHook(grab)
		post(h, "broken", "5")
		grab.key = new(string)
		rdb.Del(t.Context(), key)
		rdb.Set(t.Context(), key, "of another type", time.Minute)
		count.Reset()
		for i := range 10 { // more than any breaker bears
			want(t, "of another type", post(h, "broken", "5"), 503, "unavailable")
			wantAnswer(t, "another key", post(h, fmt.Sprint("k", i), "5"), 201, fmt.Sprintf("payment %d of 5", i+2), false)
		}
		if n := count.Commands()["hmget"]; n != 20 {
			t.Errorf("%d look-ups of 20 requests", n)
		}
	})
}

// keyOfLookup takes the record's key from a look-up.
type keyOfLookup struct {
	saboteur
	key *string
}

func (k *keyOfLookup) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hmget" {
			*k.key = fmt.Sprint(cmd.Args()[1])
		}
		return next(ctx, cmd)
	}
}

// A Redis that refuses to note that a request begins: it does not run, and
// holds no lock, so that a retry runs as soon as there is room.
func TestARefusedBeginLeavesNothing(t *testing.T) {
	full, other := redistest.NewServer(t), redistest.Standalone(t)
	rdb := full.Client(t)
	var runs atomic.Int32
	locks := locker(t, other.Client(t), redistest.Prefix(t), lockmw.WithTTL(30*time.Second))
	h := keeperOver(t, locks, rdb, "p", idempotency.WithTimeout(200*time.Millisecond)).Handler(paid(&runs))
	post(h, "warm", "5")
	rdb.ConfigSet(t.Context(), "maxmemory", "1")
	for range 3 {
		want(t, "full", post(h, "k", "5"), 503, "unavailable")
	}
	rdb.ConfigSet(t.Context(), "maxmemory", "0")
	wantAnswer(t, "with room", post(h, "k", "5"), 201, "payment 2 of 5", false)
}
