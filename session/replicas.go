package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// ErrUnconfirmed is a logout that was done, but that fewer replicas have
// confirmed in time than [WithWaitReplicas] asks for: a failover now could
// bring the session back.
var ErrUnconfirmed = errors.New("session: done, but not confirmed by the replicas")

// confirm waits until replicas have the deletion of these sessions: behind each a
// key is written, in a slot of the same master.
func (x *index) confirm(ctx context.Context, hashes ...string) error {
	if x.m.waitReplicas == 0 || len(hashes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.timeout+x.m.waitTimeout)
	defer cancel()
	keys := make([]string, len(hashes))
	for i, hash := range hashes {
		keys[i] = x.m.prefix + hash
	}
	err := x.caller.Confirm(ctx, keys, func(p redis.Pipeliner, key string) {
		p.Set(ctx, userPrefix+x.m.prefix+"{"+key+"}:w", "", time.Second)
	}, bounded.Replicas{N: x.m.waitReplicas, Patience: x.m.waitTimeout})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return nil
}

// WithWaitReplicas has Destroy, Revoke, RevokeOthers and RevokeAll wait until n
// replicas of each master concerned have it, for at most timeout, and return
// [ErrUnconfirmed] otherwise: replication is asynchronous, so a failover right
// after a logout can bring the session back. The default is 0, not to wait.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.waitReplicas, c.waitTimeout, c.waits = n, timeout, true })
}
