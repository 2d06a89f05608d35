package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// All that the cache does in scripts works with a Ring, of which each server has
// to learn them, and after the scripts are gone.
func TestARing(t *testing.T) {
	servers := map[string]*redistest.Server{"a": redistest.NewServer(t), "b": redistest.NewServer(t)}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": servers["a"].Addr(), "b": servers["b"].Addr()}})
	t.Cleanup(func() { _ = ring.Close() })
	c := newCache(t, ring, cache.WithBuckets(16), cache.WithMaxVariants(2), cache.WithHooks(cache.Hooks{Failed: func(_ context.Context, err error) { t.Error(err) }}))
	h := c.Handler(origin(200, "Cache-Control: max-age=60", "Vary: Accept", "Surrogate-Key: t"))
	hits := func() (n int) {
		for i := range 20 {
			if do(h, "GET", fmt.Sprint("/", i)).Header().Get("Age") != "" {
				n++
			}
		}
		return n
	}
	hits()
	if n := hits(); n != 20 {
		t.Errorf("%d hits, want 20", n)
	}
	for i := range 5 {
		do(h, "GET", "/0", fmt.Sprint("Accept: ", i))
	}
	if n := c.Stats().Evicted; n != 4 {
		t.Errorf("%d variants evicted, want 4", n)
	}
	for _, server := range servers {
		server.FlushScripts(t)
	}
	if err := c.PurgeTags(t.Context(), "t"); err != nil {
		t.Error(err)
	}
	if n := hits(); n != 0 {
		t.Errorf("%d hits after the purge", n)
	}
	if n := hits(); n != 20 {
		t.Errorf("%d hits after scripts were lost, want 20", n)
	}
	confirmed := newCache(t, ring, cache.WithBuckets(16), cache.WithWaitReplicas(1, time.Millisecond))
	if err := confirmed.PurgeAll(t.Context()); !errors.Is(err, cache.ErrUnconfirmed) {
		t.Errorf("got %v, want ErrUnconfirmed", err)
	}
}

// Without the right to INFO the cache works, and says what it cannot notice.
func TestWithoutINFO(t *testing.T) {
	server := redistest.NewServer(t)
	admin := server.Client(t)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "noinfo", "on", ">pw", "~*", "&*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	options := server.Options()
	options.Username, options.Password = "noinfo", "pw"
	var logged lines
	h := newCache(t, redisClient(t, options), cache.WithLogger(logged.logger())).Handler(origin(200, "Cache-Control: max-age=60"))
	do(h, "GET", "/")
	for range 3 {
		want(t, do(h, "GET", "/"), 200, "body 1", "hit")
	}
	if n := logged.count("replication ID"); n != 1 {
		t.Errorf("%d lines say so, want 1", n)
	}
}
