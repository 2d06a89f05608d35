package bounded

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// movingPause is the pause before a call is sent again that was refused because
	// its slot is on the move.
	movingPause = 3 * time.Millisecond
	// movingReply is how long a reply must at least have time: the refusal says more
	// than a timeout, which would look like an outage.
	movingReply = 15 * time.Millisecond
)

// WhileMoving calls send again for as long as a cluster refuses it with TRYAGAIN:
// the slot of its keys is being moved, and some of them are on either node. Such a
// call was not executed. It returns what the last call returned, at the latest when
// ctx ends. The client follows MOVED and ASK itself.
func WhileMoving(ctx context.Context, send func() error) error {
	for {
		err := send()
		if err == nil || !redis.HasErrorPrefix(err, "TRYAGAIN") || !pause(ctx, movingPause) {
			return err
		}
	}
}

// pause reports false if ctx ends before d has passed.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d+movingReply {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
