package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A purge that only the old master knows of, whose numbers the new one then
// gives out once more: the page is not served again.
func TestAFailoverUndoesNoPurge(t *testing.T) {
	t.Parallel()
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		servers := redistest.NewSentinel(t)
		losesAPurge(t, servers.Target(), func(string) (old *redistest.Server, replicas []*redistest.Server, promoted func() *redistest.Server) {
			old = servers.Master()
			return old, servers.Replicas(), func() *redistest.Server { return servers.WaitPromoted(t, old) }
		})
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		servers := redistest.NewCluster(t, 1)
		losesAPurge(t, servers.Target(), func(log string) (old *redistest.Server, replicas []*redistest.Server, promoted func() *redistest.Server) {
			tag := log[strings.Index(log, "{") : strings.Index(log, "}")+1]
			old = servers.MasterOf(t, tag)
			return old, []*redistest.Server{servers.ReplicaOf(old)}, func() *redistest.Server { return servers.MasterOf(t, tag) }
		})
	})
}

func losesAPurge(t *testing.T, g *redistest.Target, who func(log string) (*redistest.Server, []*redistest.Server, func() *redistest.Server)) {
	const page = "http://example.com/page"
	ctx := t.Context()
	rdb, prefix := g.Client(t), redistest.Prefix(t)
	var s site
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithWaitReplicas(1, patience))
	h := c.Handler(&s)
	s.set(answering("old", "Cache-Control: max-age=600", "Surrogate-Key: t"))
	do(h, "GET", page)
	if err := c.Purge(ctx, page); err != nil { // confirmed: the replica is there
		t.Fatal(err)
	}
	do(h, "GET", page)
	x, err := c.Explain(ctx, httptest.NewRequest("GET", page, nil))
	if err != nil || !x.Found {
		t.Fatalf("not stored: %+v, %v", x, err)
	}
	second := ""
	for i := 0; second == ""; i++ { // another page in the same bucket
		u := fmt.Sprint(page, "?", i)
		if y, err := c.Explain(ctx, httptest.NewRequest("GET", u, nil)); err != nil {
			t.Fatal(err)
		} else if y.Log == x.Log {
			second = u
		}
	}
	do(h, "GET", second)
	if err := c.Purge(ctx, page+"/other"); err != nil { // behind the entry: that is with the replica too
		t.Fatal(err)
	}
	old, replicas, promoted := who(x.Log)
	for _, replica := range replicas {
		replica.Pause()
	}
	direct := old.Client(t)
	if err := direct.ClientKillByFilter(ctx, "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	before := number(t, direct, x.Log)
	brief := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithWaitReplicas(1, 50*time.Millisecond))
	for _, u := range []string{page, second} {
		if err := brief.Purge(ctx, u); !errors.Is(err, cache.ErrUnconfirmed) {
			t.Errorf("without a replica: got %v, want ErrUnconfirmed", err)
		}
	}
	if got := number(t, direct, x.Log); got != before+2 {
		t.Fatalf("the old master is at %d, want %d", got, before+2)
	}
	old.Kill()
	for _, replica := range replicas {
		replica.Resume()
	}
	now := promoted().Client(t)
	if got := number(t, now, x.Log); got != before {
		t.Fatalf("the new master is at %d, want %d: the purge was not lost", got, before)
	}
	s.set(answering("new", "Cache-Control: max-age=600", "Surrogate-Key: t"))
	plain := newCache(t, rdb, cache.WithKeyPrefix(prefix))
	redistest.Eventually(t, patience, func() bool { // before any purge on the new master
		w := do(plain.Handler(&s), "GET", second)
		if w.Body.String() != "new" {
			t.Fatalf("%q is served after its purge: %s", w.Body, w.Header().Get("Cache-Status"))
		}
		return strings.Contains(w.Header().Get("Cache-Status"), "stored")
	}, "the new master is not reached")
	redistest.Eventually(t, patience, func() bool { return plain.PurgeTags(context.WithoutCancel(ctx), "other") == nil }, "no purge goes through")
	for number(t, now, x.Log) < before+2 {
		if err := plain.PurgeTags(ctx, "other"); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []*cache.Cache{c, plain, newCache(t, rdb, cache.WithKeyPrefix(prefix))} {
		if w := do(h.Handler(&s), "GET", page); w.Body.String() != "new" {
			t.Errorf("%q is served after its purge: %s", w.Body, w.Header().Get("Cache-Status"))
		}
	}
	want(t, do(h, "GET", page), 200, "new", "hit")
}

func number(t *testing.T, c *redis.Client, log string) int64 {
	t.Helper()
	n, err := c.HGet(t.Context(), log, "_seq").Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
