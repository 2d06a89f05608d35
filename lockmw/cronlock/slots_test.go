package cronlock_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// refused fails the test for each call that a cluster refuses because its slot moves.
type refused struct{ t *testing.T }

func (refused) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r refused) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "TRYAGAIN") {
			r.t.Errorf("%s: %v", cmd.Name(), err)
		}
		return err
	}
}

func (refused) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Without takeover a job has one key, so it runs while its slot is open as ever.
func TestAnOpenSlotRefusesNoJob(t *testing.T) {
	c := redistest.NewCluster(t, 0)
	rdb, prefix := c.Target().Client(t), redistest.Prefix(t)
	rdb.AddHook(refused{t})
	r := runner(t, rdb, cronlock.WithKeyPrefix(prefix))
	runs := 0
	j := job(t, r, func(context.Context) error { runs++; return nil })
	now := time.Now().Truncate(time.Second)
	run := func(n int) {
		t.Helper()
		outcome, err := j.Run(t.Context(), now.Add(time.Duration(n)*time.Second))
		if err != nil || runs != n {
			t.Errorf("tick %d: %v, %v, %d runs", n, outcome, err, runs)
		}
	}
	run(1)
	move := c.OpenSlot(t, j.Key())
	run(2)
	move.Migrate(t, j.Key())
	run(3)
	move.Finish(t)
	run(4)
}
