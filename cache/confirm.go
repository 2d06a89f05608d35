package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// ErrUnconfirmed is returned by purges that were done, but that fewer replicas
// have confirmed in time than [WithWaitReplicas] asks for. It is safe to purge again.
var ErrUnconfirmed = errors.New("cache: purged, but not confirmed by the replicas")

// confirm waits until replicas have what was written to these logs. WAIT
// (redis.io/commands/wait) waits for what its own connection wrote last, so the
// TTL of a log is written again before it, on the same master: replication keeps
// the order.
func (c *Cache) confirm(ctx context.Context, logs []string) error {
	if c.waitReplicas == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.storeTimeout+c.waitTimeout)
	defer cancel()
	masters := map[string]redis.Pipeliner{}
	for _, log := range logs {
		master, err := c.masterOf(ctx, log)
		if err != nil {
			return errors.Join(ErrUnconfirmed, err)
		}
		if masters[master.Options().Addr] == nil {
			p := master.Pipeline()
			p.PExpire(ctx, log, c.logTTL())
			masters[master.Options().Addr] = p
		}
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, p := range masters {
		acks := redis.NewIntCmd(ctx, "wait", c.waitReplicas, c.waitTimeout.Milliseconds())
		_ = p.Process(ctx, acks) // queued
		wg.Go(func() {
			err := c.caller.Do(ctx, func(ctx context.Context) error {
				_, err := p.Exec(ctx)
				return err
			})
			if err == nil && acks.Val() < int64(c.waitReplicas) {
				err = fmt.Errorf("%d of %d within %v", acks.Val(), c.waitReplicas, c.waitTimeout)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) == 0 {
		return nil
	}
	return errors.Join(append([]error{ErrUnconfirmed}, errs...)...)
}

// masterOf is the client for the server that has a key.
func (c *Cache) masterOf(ctx context.Context, key string) (*redis.Client, error) {
	switch rdb := bounded.Unwrap(c.rdb).(type) {
	case *redis.ClusterClient:
		return rdb.MasterForKey(ctx, key)
	case *redis.Ring:
		return rdb.GetShardClientForKey(key)
	case *redis.Client:
		return rdb, nil
	}
	return nil, errors.New("the client does not tell the master of a key")
}
