package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

func count(t testing.TB, rdb redis.UniversalClient, pattern string) (n int) {
	each(t, rdb, pattern, func(*redis.Client, string) { n++ })
	return n
}

// A client that makes up values of a field that selects does not fill the
// store: of each URL so many variants are kept, those that were stored last.
func TestVariantsAreBounded(t *testing.T) {
	t.Parallel()
	many := 250
	if redistest.IsLong() {
		many = 10_000
	}
	cases := map[string]struct {
		field string
		opts  []cache.Option
		vary  string
	}{
		"Vary":                   {"Accept-Language", nil, "Accept-Language"},
		"a field of URLs":        {"X-Forwarded-Host", nil, ""},
		"WithVary":               {"X-Any", []cache.Option{cache.WithVary("X-Any")}, ""},
		"WithKey":                {"X-Any", []cache.Option{cache.WithVaryBy(func(r *http.Request) string { return r.Header.Get("X-Any") })}, ""},
		"WithKey of many, large": {"X-Any", []cache.Option{cache.WithVaryBy(func(r *http.Request) string { return r.Header.Get("X-Any") }), cache.WithMaxVariants(3)}, "Accept"},
	}
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rdb, prefix := g.Client(t), redistest.Prefix(t)
				most, n, body := 100, many, "page"
				if strings.Contains(name, "large") {
					most, n, body = 3, 12, strings.Repeat("x", 700<<10)
				}
				c := newCache(t, rdb, append(tc.opts, cache.WithKeyPrefix(prefix))...)
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					if tc.vary != "" {
						w.Header().Set("Vary", tc.vary)
					}
					io.WriteString(w, body+r.Header.Get(tc.field))
				}))
				for i := range n {
					do(h, "GET", "/page", fmt.Sprintf("%s: v%d", tc.field, i))
					do(h, "GET", fmt.Sprint("/other", i%5)) // not its variants
				}
				others := 5
				if got := count(t, rdb, prefix+"*:e:*"); got != most+others {
					t.Errorf("%d entries, want %d and those of other URLs", got, most)
				}
				if got, want := count(t, rdb, prefix+"*:c:*"), map[bool]int{true: (most + others) * 3}[most == 3]; got != want {
					t.Errorf("%d pieces, want %d", got, want)
				}
				if got := c.Stats().Evicted; got != int64(n-most) {
					t.Errorf("%d evicted, want %d", got, n-most)
				}
				for i := n - 1; i >= n-most; i-- { // from the newest to the oldest, none is missing
					if w := do(h, "GET", "/page", fmt.Sprintf("%s: v%d", tc.field, i)); w.Header().Get("Age") == "" || w.Body.String() != body+fmt.Sprint("v", i) {
						t.Fatalf("variant %d of %d is not kept: %s", i, n, w.Header().Get("Cache-Status"))
					}
				}
				if w := do(h, "GET", "/page", fmt.Sprintf("%s: v%d", tc.field, n-most-1)); w.Header().Get("Age") != "" {
					t.Error("the oldest is still there")
				}
				if err := c.Purge(t.Context(), "http://example.com/page"); err != nil {
					t.Fatal(err)
				}
				if w := do(h, "GET", "/page", fmt.Sprintf("%s: v%d", tc.field, n-1)); w.Header().Get("Age") != "" {
					t.Error("a variant survives the purge")
				}
				each(t, rdb, prefix+"*", func(c *redis.Client, key string) {
					if ttl := c.PTTL(t.Context(), key).Val(); ttl == -1 {
						t.Errorf("%s has no TTL", key)
					}
				})
			})
		}
	})
}

// The bound holds across changes of Vary, for the copies by language, and for
// instances that store at once.
func TestVariantsAreBoundedWhateverSelects(t *testing.T) {
	t.Parallel()
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var round atomic.Int64
	all := instances(t, redistest.Standalone(t), 3, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", []string{"X-A", "X-A, X-B", "Accept-Language"}[round.Load()%3])
		if round.Load()%3 == 2 {
			w.Header().Set("Content-Language", "de")
		}
		fmt.Fprint(w, r.Header.Get("X-A"))
	}), cache.WithKeyPrefix(prefix), cache.WithMaxVariants(10), cache.WithNearTier(1<<20, time.Minute))
	for range 6 {
		crowd(all, 90, "/", func(i int, r *http.Request) {
			r.Header.Set("X-A", fmt.Sprint(round.Load(), "-", i))
			r.Header.Set("X-B", fmt.Sprint(i))
			r.Header.Set("Accept-Language", fmt.Sprintf("de, x-%d;q=0.5", i))
		})
		round.Add(1)
		if n := count(t, rdb, prefix+"*:e:*"); n > 10 {
			t.Fatalf("%d entries after round %d", n, round.Load())
		}
	}
}

// More languages than can be told apart do not keep a URL from being stored.
func TestTooManyLanguages(t *testing.T) {
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Content-Language", r.Header.Get("Accept-Language")) // whatever is asked for
		fmt.Fprint(w, r.Header.Get("Accept-Language"))
	}))
	for i := range 120 {
		do(h, "GET", "/", fmt.Sprintf("Accept-Language: x-%d", i))
	}
	for _, lang := range []string{"x-119", "fr"} {
		do(h, "GET", "/", "Accept-Language: "+lang)
		if w := do(h, "GET", "/", "Accept-Language: "+lang); w.Header().Get("Age") == "" || w.Body.String() != lang {
			t.Errorf("%s: %q %s", lang, w.Body, w.Header().Get("Cache-Status"))
		}
	}
}

// What replaces a large body leaves the pieces of the old one for those who
// read, and no longer; what confirms it keeps them.
func TestPiecesOfWhatWasReplaced(t *testing.T) {
	t.Parallel()
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
	large := strings.Repeat("x", 600<<10)
	s.set(answering(large, `ETag: "1"`, "Cache-Control: max-age=60"))
	lives := func() (brief, long int) {
		each(t, rdb, prefix+"*:c:*", func(c *redis.Client, key string) {
			if c.PTTL(t.Context(), key).Val() > time.Minute {
				long++
			} else {
				brief++
			}
		})
		return brief, long
	}
	do(h, "GET", "/")
	older(t, rdb, prefix, 2*time.Minute)
	want(t, do(h, "GET", "/"), 200, large, "fwd=stale; fwd-status=304; stored")
	if brief, long := lives(); brief != 0 || long != 3 {
		t.Errorf("validated: %d pieces end soon, %d stay", brief, long)
	}
	s.set(answering(large, `ETag: "2"`, "Cache-Control: max-age=60"))
	do(h, "GET", "/", "Cache-Control: no-cache")
	if brief, long := lives(); brief != 3 || long != 3 {
		t.Errorf("replaced: %d pieces end soon, %d stay", brief, long)
	}
}

// A body without a length that turns out to be too large is written to Redis
// once, not by each download, on no instance; and those who wait do not wait for its end.
func TestTooLargeIsRemembered(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		const k = 1 << 10
		prefix := redistest.Prefix(t)
		rdb := g.Client(t)
		size := atomic.Int64{}
		size.Store(2000 * k)
		written := make(chan bool, 100)
		end := make(chan bool)
		origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, strings.Repeat("x", int(size.Load())))
			written <- true
			<-end
		})
		one := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithMaxBody(1000*k), cache.WithCollapseTimeout(patience)).Handler(origin)
		two := newCache(t, rdb, cache.WithKeyPrefix(prefix), cache.WithMaxBody(1000*k), cache.WithCollapseTimeout(patience)).Handler(origin)
		done := make(chan bool, 2)
		go func() { do(one, "GET", "/"); done <- true }()
		<-written
		go func() { do(one, "GET", "/"); done <- true }() // does not wait for the end of the first
		select {
		case <-written:
		case <-time.After(patience):
			t.Fatal("it waits for a body that is too large")
		}
		close(end)
		<-done
		<-done
		redistest.Eventually(t, patience, func() bool { return count(t, rdb, prefix+"*:[cl]:*") == 0 }, "something is left of it")
		counter := redistest.Count(rdb)
		for range 3 {
			for _, h := range []http.Handler{one, two} {
				if w := do(h, "GET", "/"); w.Body.Len() != 2000*k || !strings.Contains(w.Header().Get("Cache-Status"), "detail=too-large") {
					t.Errorf("got %d bytes, %s", w.Body.Len(), w.Header().Get("Cache-Status"))
				}
			}
		}
		if cmds := counter.Commands(); cmds["set"]+cmds["unlink"] != 0 {
			t.Errorf("six more downloads: %v", cmds)
		}
		size.Store(50 * k) // it has become small
		do(one, "GET", "/")
		want(t, do(two, "GET", "/"), 200, strings.Repeat("x", 50*k), "hit")
		size.Store(500 * k)
		do(one, "GET", "/", "Cache-Control: no-cache")
		want(t, do(two, "GET", "/"), 200, strings.Repeat("x", 500*k), "hit")
	})
}

// The options of the store are checked.
func TestOptionsOfTheStoreAreChecked(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, n := range []int{0, -1, 1001} {
		if _, err := cache.New(rdb, cache.WithMaxVariants(n)); err == nil || !strings.Contains(err.Error(), "cache: WithMaxVariants: ") {
			t.Errorf("%d: got %v", n, err)
		}
	}
	for _, opt := range []cache.Option{cache.WithWaitReplicas(0, time.Second), cache.WithWaitReplicas(1, 0)} {
		if _, err := cache.New(rdb, opt); err == nil || !strings.Contains(err.Error(), "cache: WithWaitReplicas: ") {
			t.Errorf("got %v", err)
		}
	}
}
