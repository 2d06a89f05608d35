package cache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"
)

// open marks a place as one where nothing is stored, here and for the other
// instances, so that its requests do not wait for each other.
func (c *Cache) markOpen(ctx context.Context, f *found, d time.Duration) {
	c.memo.change(f.hash, func(k *known) { k.open = time.Now().Add(d) })
	if f.lease == "" {
		return
	}
	f.lease = ""
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	ticket, ok := c.breaker.Allow()
	if !ok {
		return
	}
	err := c.pipeline(bound, func(p redis.Pipeliner) { p.Set(bound, f.leaseKey(f.variant), openMark, d) })
	c.report(ctx, ticket, err)
}

// release gives a lease back that is not needed. It has just been taken, so it
// is not another's by now.
func (c *Cache) release(lease string) {
	c.background(func(ctx context.Context) {
		bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
		defer cancel()
		_ = c.pipeline(bound, func(p redis.Pipeliner) { p.Del(bound, lease) }) // it expires anyway
	})
}

// grab takes the lease of a place, "" if another has it.
func (c *Cache) grab(ctx context.Context, f *found) string {
	bound, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token := rand.Text()
	var got *redis.BoolCmd
	if err := c.pipeline(bound, func(p redis.Pipeliner) {
		got = p.SetNX(bound, f.leaseKey(f.variant), token, c.leaseTTL)
	}); err != nil || !got.Val() {
		return ""
	}
	return token
}
