package bounded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Replicas says how many replicas are waited for, and for how long.
type Replicas struct {
	N        int
	Patience time.Duration
}

// Confirm waits until replicas have what was written to keys, on each master
// that serves one of them. WAIT (redis.io/commands/wait) waits for what its own
// connection wrote last, so touch queues a write to one key of each master before
// it: replication keeps the order. All masters are asked at once, and the errors
// are joined.
func (c *Caller) Confirm(ctx context.Context, keys []string, touch func(p redis.Pipeliner, key string), r Replicas) error {
	masters, err := c.masters(ctx, keys)
	if err != nil {
		return err
	}
	errs := make(chan error, len(masters))
	for master, key := range masters {
		go func() { errs <- c.confirm(ctx, master, func(p redis.Pipeliner) { touch(p, key) }, r) }()
	}
	var all []error
	for range masters {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// masters are those that serve keys, with one key of each; nil is the client
// itself, see [NodeOf].
func (c *Caller) masters(ctx context.Context, keys []string) (map[*redis.Client]string, error) {
	found := make(chan map[*redis.Client]string, 1) // for a call that is left behind
	err := c.Do(ctx, func(ctx context.Context) error {
		all := map[*redis.Client]string{}
		for _, key := range keys {
			master, err := NodeOf(ctx, c.rdb, key)
			if err != nil {
				return err
			}
			if _, seen := all[master]; !seen {
				all[master] = key
			}
		}
		found <- all
		return nil
	})
	if err != nil {
		return nil, err
	}
	return <-found, nil
}

func (c *Caller) confirm(ctx context.Context, master *redis.Client, touch func(redis.Pipeliner), r Replicas) error {
	var pipe redis.Pipeliner
	if client, ok := c.rdb.(interface{ Pipeline() redis.Pipeliner }); master != nil {
		pipe = master.Pipeline()
	} else if ok {
		pipe = client.Pipeline()
	} else {
		return errors.New("the client has no pipelines")
	}
	touch(pipe)
	acks := redis.NewIntCmd(ctx, "wait", r.N, r.Patience.Milliseconds())
	_ = pipe.Process(ctx, acks) // queued
	err := c.Do(ctx, func(ctx context.Context) error { _, err := pipe.Exec(ctx); return err })
	if err == nil && acks.Val() < int64(r.N) { // read only of a call that was not left behind
		err = fmt.Errorf("%d of %d replicas within %v", acks.Val(), r.N, r.Patience)
	}
	return err
}
