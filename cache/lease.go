package cache

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// leases are those that this process holds and no request uses yet: the one
// that makes the response need not be the one whose look-up took the lease.
type leases struct {
	mu   sync.Mutex
	free map[string]freeLease // by key
}

type freeLease struct {
	token string
	until time.Time
}

const maxFree = 10_000

func (l *leases) offer(key, token string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free = map[string]freeLease{}
	}
	for other := range l.free {
		if len(l.free) < maxFree {
			break
		}
		delete(l.free, other) // it expires
	}
	l.free[key] = freeLease{token, time.Now().Add(d / 2)}
}

// claim takes a lease for the caller: this token, or any if it is "". It
// returns "" if there is none, or too little is left of it.
func (l *leases) claim(key, token string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	free, ok := l.free[key]
	if !ok || token != "" && free.token != token {
		return ""
	}
	delete(l.free, key)
	if time.Now().After(free.until) {
		return ""
	}
	return free.token
}

// giveBack releases a lease that a look-up took and no request used.
func (c *Cache) giveBack(f *found) {
	if f.lease == "" {
		return
	}
	key := f.leaseKey(f.variant)
	if c.leases.claim(key, f.lease) != "" {
		c.release(key)
	}
}

// release gives a lease back that is ours.
func (c *Cache) release(key string) {
	c.background(func(ctx context.Context) {
		bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
		defer cancel()
		_ = c.pipeline(bound, func(p redis.Pipeliner) { p.Del(bound, key) }) // it expires anyway
	})
}

// grab takes the lease of a place, "" if another has it.
func (c *Cache) grab(ctx context.Context, key string) string {
	bound, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token := rand.Text()
	var got *redis.BoolCmd
	if err := c.pipeline(bound, func(p redis.Pipeliner) { got = p.SetNX(bound, key, token, c.leaseTTL) }); err != nil || !got.Val() {
		return ""
	}
	return token
}

// take gets a lease for a refresh. A request that is served meanwhile may have
// taken it in its look-up, to give it to whoever refreshes or back; so it is
// tried a few times.
func (c *Cache) take(ctx context.Context, key string) string {
	for range 5 {
		if token := c.leases.claim(key, ""); token != "" {
			return token
		}
		if token := c.grab(ctx, key); token != "" {
			return token
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(5 * time.Millisecond):
		}
	}
	return ""
}

// markOpen marks a place as one where nothing is stored, here and for the other
// instances, so that its requests do not wait for each other.
func (c *Cache) markOpen(ctx context.Context, f *found, d time.Duration) {
	c.memo.change(f.hash, func(k *known) { k.open = time.Now().Add(d) })
	if f.lease == "" {
		return
	}
	f.lease = ""
	call, ok := c.nodes.Allow(f.log)
	if !ok {
		return
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	err := c.pipeline(bound, func(p redis.Pipeliner) { p.Set(bound, f.leaseKey(f.variant), openMark, d) })
	c.report(ctx, call, err)
}
