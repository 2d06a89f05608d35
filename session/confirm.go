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

// confirm waits until replicas have the deletion of these sessions. WAIT
// (redis.io/commands/wait) waits for what its own connection wrote last, so a
// marker is written behind the deletion, in a slot of the same master:
// replication keeps the order.
func (x *index) confirm(ctx context.Context, hashes ...string) error {
	if x.m.waitReplicas == 0 || len(hashes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.timeout+x.m.waitTimeout)
	defer cancel()
	err := x.caller.Do(ctx, func(ctx context.Context) error {
		cluster, ok := bounded.Unwrap(x.rdb).(*redis.ClusterClient)
		if !ok {
			return x.wait(ctx, x.rdb, hashes[0])
		}
		var errs []error
		waited := map[string]bool{} // masters, by address
		for _, hash := range hashes {
			master, err := cluster.MasterForKey(ctx, x.m.prefix+hash)
			if err != nil {
				return err
			}
			if addr := master.Options().Addr; !waited[addr] {
				waited[addr] = true
				errs = append(errs, x.wait(ctx, master, hash))
			}
		}
		return errors.Join(errs...)
	})
	if err != nil && !errors.Is(err, ErrUnconfirmed) {
		err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return err
}

func (x *index) wait(ctx context.Context, master redis.UniversalClient, hash string) error {
	n, patience := x.m.waitReplicas, x.m.waitTimeout
	pipe := master.Pipeline()
	pipe.Set(ctx, "user:"+x.m.prefix+"{"+x.m.prefix+hash+"}:w", "", time.Second)
	acks := redis.NewIntCmd(ctx, "wait", n, patience.Milliseconds())
	_ = pipe.Process(ctx, acks) // queued
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if acks.Val() < int64(n) {
		return fmt.Errorf("%w: %d of %d within %v", ErrUnconfirmed, acks.Val(), n, patience)
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
