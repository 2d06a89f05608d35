package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// ErrUnconfirmed is returned by purges that were done, but that fewer replicas
// have confirmed in time than [WithWaitReplicas] asks for. It is safe to purge again.
var ErrUnconfirmed = errors.New("cache: purged, but not confirmed by the replicas")

// confirm waits until replicas have what was written to these logs, whose TTL is
// written again behind it.
func (c *Cache) confirm(ctx context.Context, logs []string) error {
	if c.waitReplicas == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.storeTimeout+c.waitTimeout)
	defer cancel()
	if !bounded.TellsNodes(c.rdb) {
		return errors.Join(ErrUnconfirmed, errors.New("the client does not tell the master of a key"))
	}
	err := c.caller.Confirm(ctx, logs, func(p redis.Pipeliner, log string) { p.PExpire(ctx, log, c.logTTL()) },
		bounded.Replicas{N: c.waitReplicas, Patience: c.waitTimeout})
	if err != nil {
		return errors.Join(ErrUnconfirmed, err)
	}
	return nil
}
