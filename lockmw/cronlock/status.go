package cronlock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/lockmw"
)

// Status is what is known of a job in all instances.
type Status struct {
	Running  bool      // by its lease; a holder that died counts until then
	Host     string    // of the last run
	Tick     time.Time // the latest that was begun, zero for none
	Started  time.Time // of the last run
	Finished time.Time // of the last run that ended
	Attempt  int
	Fence    uint64
	Err      string // of the last run that ended, "" for none

	Misfired time.Time // the last time that a scheduler called the job in vain, zero for never
	Misfire  string    // why
}

// Status reads the state of the job.
func (j *Job) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, j.nodeTimeout)
	defer cancel()
	cmd := redis.NewSliceCmd(ctx, "hmget", j.key, "o", "x", "f", "last", "start", "done", "n", "host", "err", "miss", "why")
	if err := j.r.caller.Process(ctx, cmd); err != nil {
		return Status{}, fmt.Errorf("%w: %w", lockmw.ErrUnavailable, err)
	}
	v := cmd.Val()
	if len(v) != 11 {
		return Status{}, fmt.Errorf("cronlock: status of %d values", len(v))
	}
	text := func(i int) string { s, _ := v[i].(string); return s }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	at := func(i int) time.Time {
		if n := number(i); n > 0 {
			return time.UnixMilli(n)
		}
		return time.Time{}
	}
	s := Status{Host: text(7), Tick: at(3), Started: at(4), Finished: at(5), Attempt: int(number(6)), Fence: uint64(max(number(2), 0)), Err: text(8),
		Misfired: at(9), Misfire: text(10)}
	s.Running = text(0) != "" && number(1) > time.Now().UnixMilli() // within the difference of the clocks
	return s, nil
}
