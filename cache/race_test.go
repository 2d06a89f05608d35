package cache_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// No response whose handler was called before a purge returned is served
// after it, whatever was in flight, on any instance. With a near tier the other
// instances may be late by its time to live, and no more.
func TestAPurgeNeverLosesToAFill(t *testing.T) {
	for _, topology := range []func(testing.TB) *redistest.Target{redistest.Standalone, redistest.Cluster} {
		g := topology(t)
		for _, nearTTL := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/near=%v", g.Name, nearTTL), func(t *testing.T) {
				t.Parallel()
				purgesAgainstFills(t, g, nearTTL)
			})
		}
	}
}

func purgesAgainstFills(t *testing.T, g *redistest.Target, nearTTL time.Duration) {
	rounds := 1000
	if nearTTL > 0 {
		rounds = 200 // each waits
	}
	var version atomic.Int64
	origin := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		v := version.Load()
		<-time.After(time.Duration(rand.IntN(1500)) * time.Microsecond) // the purge falls in here
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Surrogate-Key", "page")
		fmt.Fprint(w, v)
	})
	prefix := redistest.Prefix(t)
	var caches []*cache.Cache
	var instances []http.Handler
	for range 4 {
		opts := []cache.Option{cache.WithKeyPrefix(prefix), cache.WithBuckets(4)}
		if nearTTL > 0 {
			opts = append(opts, cache.WithNearTier(1<<20, nearTTL))
		}
		c := newCache(t, g.Client(t), opts...)
		caches = append(caches, c)
		instances = append(instances, c.Handler(origin))
	}
	const page = "http://example.com/page"
	hits := 0
	for round := range rounds {
		var wg sync.WaitGroup
		for _, h := range instances {
			wg.Go(func() {
				start := time.Now()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", page, nil))
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("round %d: a request waited %v for a lease that nobody used", round, took)
				}
			})
		}
		want := version.Add(1)
		var err error
		switch purger := caches[round%4]; round % 3 {
		case 0:
			err = purger.Purge(t.Context(), page)
		case 1:
			err = purger.PurgeTags(t.Context(), "page")
		case 2:
			err = purger.PurgeAll(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			if i == 1 && nearTTL > 0 {
				<-time.After(nearTTL)
			}
			w := httptest.NewRecorder()
			instances[(round+i)%4].ServeHTTP(w, httptest.NewRequest("GET", page, nil)) // the purger first
			body, _ := io.ReadAll(w.Body)
			if got, _ := strconv.ParseInt(string(body), 10, 64); got < want {
				t.Fatalf("round %d: version %d served after the purge of all below %d: %s", round, got, want, w.Header().Get("Cache-Status"))
			}
			if w.Header().Get("Age") != "" {
				hits++
			}
		}
		wg.Wait()
	}
	if hits < 2*rounds {
		t.Errorf("only %d hits: the test shows nothing", hits)
	}
}

// The same for an unsafe request: nginx, Varnish and others keep the old body.
func TestAPostDuringAFill(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		calls, filling, posted := 0, make(chan bool), make(chan bool)
		h := newCache(t, g.Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				return
			}
			calls++
			w.Header().Set("Cache-Control", "max-age=60")
			if calls == 1 {
				filling <- true
				<-posted
				io.WriteString(w, "old")
				return
			}
			io.WriteString(w, "new")
		}))
		done := make(chan bool)
		go func() { do(h, "GET", "/p"); close(done) }()
		<-filling
		do(h, "POST", "/p")
		posted <- true
		<-done
		if w := do(h, "GET", "/p"); w.Body.String() != "new" {
			t.Errorf("after the POST: got %q, want the new body", w.Body)
		}
	})
}
