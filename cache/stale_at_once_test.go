package cache_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// With max-age=0 and stale-while-revalidate a response is stale at once, yet
// nobody but the first waits for the handler: each request gets the last one
// and has the next one made.
func TestStaleAtOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		var s site
		s.set(answering("first", "Cache-Control: max-age=0, stale-while-revalidate=600"))
		all := instances(t, g, 2, &s)
		want(t, do(all[0], "GET", "/"), 200, "first", "fwd=uri-miss; fwd-status=200; stored")
		s.set(answering("second", "Cache-Control: max-age=0, stale-while-revalidate=600"))
		want(t, do(all[1], "GET", "/"), 200, "first", "hit; ttl=")
		redistest.Eventually(t, patience, func() bool { return do(all[0], "GET", "/").Body.String() == "second" }, "it is not refreshed")
		s.set(answering("third", "Cache-Control: max-age=0, stale-while-revalidate=600"))
		redistest.Eventually(t, patience, func() bool { return do(all[1], "GET", "/").Body.String() == "third" }, "it is not refreshed again")
	})
}

// A crowd that misses such a response is served by the one call that the first
// of it makes, though what is stored is stale by then.
func TestACrowdOfWhatIsStaleAtOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		var misses atomic.Int64
		begun := make(chan struct{}, 100)
		all := instances(t, g, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			<-time.After(50 * time.Millisecond)
			if misses.Add(1) > 1 { // a refresh, which nobody waits for
				select {
				case <-r.Context().Done():
				case <-time.After(patience):
				}
				return
			}
			answering("page", "Cache-Control: max-age=0, stale-while-revalidate=600")(w, r)
		}), cache.WithRefreshTimeout(2*time.Second), cache.WithCollapseTimeout(patience))
		start := time.Now()
		for _, w := range crowd(all, 100, "/", nil) {
			if w.Code != 200 || w.Body.String() != "page" {
				t.Fatalf("got %d %q after %v", w.Code, w.Body, time.Since(start))
			}
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the crowd took %v", took)
		}
		if n := len(begun); n > 2 {
			t.Errorf("%d calls, want one and at most one refresh", n)
		}
	})
}

// A server that is full serves what it has.
func TestAFullRedisServesWhatItHas(t *testing.T) {
	rdb := redistest.NewServer(t, redistest.WithArgs("--maxmemory-policy", "noeviction")).Client(t)
	var s site
	s.set(answering("page", "Cache-Control: max-age=60, stale-while-revalidate=600"))
	prefix := redistest.Prefix(t)
	warm := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
	do(warm, "GET", "/")
	do(warm, "GET", "/old")
	if err := rdb.ConfigSet(t.Context(), "maxmemory", "100kb").Err(); err != nil {
		t.Fatal(err)
	}
	s.set(answering("other", "Cache-Control: max-age=60"))
	cold := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s) // knows nothing, so it asks for a lease
	want(t, do(cold, "GET", "/"), 200, "page", "hit")
	start := time.Now()
	want(t, do(cold, "GET", "/new"), 200, "other", "fwd=uri-miss; fwd-status=200")
	if took := time.Since(start); took > time.Second {
		t.Errorf("a miss waited %v for a lease that nobody gets", took)
	}
	older(t, rdb, prefix, 2*time.Minute)
	want(t, do(cold, "GET", "/old"), 200, "page", "hit; ttl=-")
}
