package cronlock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Status is what is known of a job in all instances, see [Job.Status]. Times
// other than Tick are by the server's clock. A job that never ran has the zero
// Status.
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

// statusFields are the fields of the state in Redis, in the order of
// decodeStatus.
var statusFields = []string{"o", "x", "f", "last", "start", "done", "n", "host", "err", "miss", "why"}

// Status reads the state of the job, in one round trip, for pages and alarms.
// While Redis is unavailable the error matches [ErrUnavailable].
func (j *Job) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	cmd := statusOf(ctx, j.key)
	if err := j.r.caller.Process(ctx, cmd); err != nil {
		return Status{}, fmt.Errorf("cronlock: status: %w: %w", ErrUnavailable, err)
	}
	s, ok := decodeStatus(cmd.Val())
	if !ok {
		return Status{}, fmt.Errorf("cronlock: status of %d values", len(cmd.Val()))
	}
	return s, nil
}

// statusOf returns the command that reads them.
func statusOf(ctx context.Context, key string) *redis.SliceCmd {
	args := []any{"hmget", key}
	for _, field := range statusFields {
		args = append(args, field)
	}
	return redis.NewSliceCmd(ctx, args...)
}

// decodeStatus reports false for a reply of another length.
func decodeStatus(v []any) (Status, bool) {
	if len(v) != len(statusFields) {
		return Status{}, false
	}
	text := func(i int) string { s, _ := v[i].(string); return s }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	at := func(i int) time.Time {
		if n := number(i); n > 0 {
			return time.UnixMilli(n)
		}
		return time.Time{}
	}
	return Status{
		Running: text(0) != "" && number(1) > time.Now().UnixMilli(), // within the difference of the clocks
		Fence:   uint64(max(number(2), 0)), Tick: at(3), Started: at(4), Finished: at(5), Attempt: int(number(6)),
		Host: text(7), Err: text(8), Misfired: at(9), Misfire: text(10),
	}, true
}
