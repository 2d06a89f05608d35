package cronlock_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// A job that ignores the end of its time has no lease any more, and the next tick
// begins beside it. Its context says why it ended.
func TestAJobThatIgnoresMaxRun(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	r := runner(t, rdb, cronlock.WithTTL(400*time.Millisecond), cronlock.WithTimeout(150*time.Millisecond), cronlock.WithMaxRun(50*time.Millisecond))
	begun, release := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	var cause error
	j := job(t, r, func(ctx context.Context) error {
		if runs.Add(1) > 1 {
			return nil
		}
		close(begun)
		<-ctx.Done()
		cause = context.Cause(ctx)
		<-release
		return nil
	})
	first := time.Now().Truncate(time.Minute)
	ended := make(chan error, 1)
	go func() {
		_, err := j.Run(t.Context(), first)
		ended <- err
	}()
	<-begun
	redistest.Eventually(t, patience, func() bool {
		outcome, err := j.Run(t.Context(), first.Add(time.Second))
		return err == nil && outcome == cronlock.Ran
	}, "the next tick does not begin")
	close(release)
	<-ended
	if !errors.Is(cause, context.DeadlineExceeded) {
		t.Errorf("the cause is %v, want one that matches DeadlineExceeded", cause)
	}
}
