package cache

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// class is what requests have in common that a response like "private" or
// Set-Cookie is for: that of a first visit says nothing of those with a cookie.
type class byte

const (
	plain      class = 'n'
	withCookie class = 'c'
)

func classOf(h http.Header) class {
	if len(h["Cookie"]) > 0 {
		return withCookie
	}
	return plain
}

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

// offer keeps a lease for the request that will use it, and returns another if
// there are too many.
func (l *leases) offer(key, token string, d time.Duration) (drop returned) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free = map[string]freeLease{}
	}
	for other, free := range l.free {
		if len(l.free) < maxFree {
			break
		}
		delete(l.free, other)
		drop = returned{key: other, token: free.token}
	}
	l.free[key] = freeLease{token, time.Now().Add(d / 2)}
	return drop
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

// all takes every lease.
func (l *leases) all() []returned {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]returned, 0, len(l.free))
	for key, free := range l.free {
		out = append(out, returned{key: key, token: free.token})
	}
	clear(l.free)
	return out
}

// giveBack releases a lease that a look-up took and no request used.
func (c *Cache) releaseUnused(f *found) {
	if f.lease == "" {
		return
	}
	key := f.leaseKey(f.variant)
	if c.leases.claim(key, f.lease) != "" {
		c.release(returned{key: key, token: f.lease})
	}
}

// markOpen ends a lease and notes, for all instances, that the response to a request of
// this class is not stored. It reports whether that was seen twice running, so that
// requests of the class need not wait for each other: one odd answer says nothing.
func (c *Cache) markHitForMiss(ctx context.Context, f *found, of class, d time.Duration) bool {
	if f.inc == "" { // without Redis, for this process
		seen := 1
		c.memo.change(f.hash, func(k *known) {
			if k.unstoredOf == of && time.Now().Before(k.unstoredUntil) {
				seen += k.unstored
			}
			k.unstoredUntil, k.unstoredOf, k.unstored = time.Now().Add(d), of, seen
		})
		return seen > 1
	}
	return c.endAndMark(ctx, f, f.hitForMissKey(f.variant, of), d) != 1
}

// markLarge ends a lease and notes that the body was too large to be stored.
func (c *Cache) markLarge(ctx context.Context, f *found) {
	if f.inc != "" {
		c.endAndMark(ctx, f, f.largeKey(f.variant), largeFor)
	}
}

// endAndMark returns how often the mark was set, 0 if Redis does not tell.
func (c *Cache) endAndMark(ctx context.Context, f *found, mark string, d time.Duration) int64 {
	lease := returned{key: f.leaseKey(f.variant), token: f.lease}
	f.lease = ""
	call, ok := c.nodes.Allow(f.log)
	if !ok {
		c.release(lease)
		return 0
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	say, err := c.run(bound, &c.endScript, []string{lease.key, mark}, lease.token, 0, d.Milliseconds())
	c.report(ctx, call, err)
	if err != nil || len(say) != 2 {
		lease.unsure = true
		c.release(lease)
		return 0
	}
	return say[1]
}

// take gets the lease for a refresh, "" if another instance has it.
func (c *Cache) acquireRefresh(ctx context.Context, key string) string {
	bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
	defer cancel()
	token := rand.Text()
	var held *redis.StringCmd
	err := c.pipeline(bound, func(p redis.Pipeliner) {
		p.SetNX(bound, key, token, c.refreshTimeout+time.Second)
		held = p.Get(bound, key)
	})
	switch {
	case err != nil:
		c.release(returned{key: key, token: token, unsure: true})
		return ""
	case held.Val() != token:
		return ""
	}
	return token
}
