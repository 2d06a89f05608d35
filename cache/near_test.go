package cache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A hit in the near tier asks nothing, and is what the store would say: by
// variant, by request directives, with its age going on.
func TestNearTier(t *testing.T) {
	g := redistest.Standalone(t)
	rdb, prefix := g.Client(t), redistest.Prefix(t)
	var s site
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X-Lang")
		fmt.Fprint(w, r.Header.Get("X-Lang"), s.calls.Load())
	})
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithNearTier(64<<10, time.Minute))
	h := c.Handler(&s)
	other := newCache(t, g.Client(t), cache.WithKeyPrefix(prefix))
	for range 2 {
		do(h, "GET", "http://example.com/", "X-Lang: de")
		do(h, "GET", "http://example.com/", "X-Lang: en")
	}
	count := redistest.Count(rdb)
	for range 10 {
		want(t, do(h, "GET", "http://example.com/", "X-Lang: de"), 200, "de1", "hit")
		want(t, do(h, "GET", "http://example.com/", "X-Lang: en"), 200, "en2", "hit")
	}
	if count.Trips() != 0 {
		t.Errorf("%d round trips for what is near", count.Trips())
	}
	if w := do(h, "GET", "http://example.com/", "X-Lang: de", "Cache-Control: no-cache"); strings.Contains(w.Header().Get("Cache-Status"), "hit") {
		t.Errorf("no-cache: %s", w.Header().Get("Cache-Status"))
	}
	if w := do(h, "GET", "http://example.com/", "X-Lang: fr"); w.Body.String() != "fr4" {
		t.Errorf("another variant: %q", w.Body)
	}
	// A purge here is seen at once, one elsewhere only in its time.
	do(h, "GET", "http://example.com/", "X-Lang: en")
	if err := other.Purge(t.Context(), "http://example.com/"); err != nil {
		t.Fatal(err)
	}
	want(t, do(h, "GET", "http://example.com/", "X-Lang: en"), 200, "en2", "hit")
	if err := c.Purge(t.Context(), "http://example.com/"); err != nil {
		t.Fatal(err)
	}
	want(t, do(h, "GET", "http://example.com/", "X-Lang: en"), 200, "en5", "fwd=stale")
}

// The near tier keeps to its bytes, keeps what is used most, serves it while Redis is
// away, and asks again for what is old.
func TestNearTierIsBounded(t *testing.T) {
	server := redistest.NewServer(t)
	p := redistest.NewProxy(t, server.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	var s site
	s.set(answering(strings.Repeat("x", 5000), "Cache-Control: max-age=60"))
	h := newCache(t, rdb, cache.WithNearTier(100<<10, time.Minute)).Handler(&s)
	const pages = 40
	for i := range pages {
		do(h, "GET", fmt.Sprint("/", i))
		do(h, "GET", fmt.Sprint("/", i)) // the second puts it near
		do(h, "GET", "/0")
	}
	p.Refuse()
	near := 0
	for i := range pages {
		if w := do(h, "GET", fmt.Sprint("/", i)); strings.Contains(w.Header().Get("Cache-Status"), "hit") {
			near++
		} else if i == 0 {
			t.Error("the page that is used most is not near")
		}
	}
	if near < 10 || near > 20 {
		t.Errorf("%d responses of 5 KiB are near, want what fits into 100 KiB", near)
	}
	p.Heal()
	rdb = server.Client(t)
	count := redistest.Count(rdb)
	brief := newCache(t, rdb, cache.WithNearTier(100<<10, 10*time.Millisecond)).Handler(&s)
	do(brief, "GET", "/")
	do(brief, "GET", "/")
	redistest.Eventually(t, patience, func() bool {
		before := count.Trips()
		do(brief, "GET", "/")
		return count.Trips() > before
	}, "Redis is never asked again")
}
