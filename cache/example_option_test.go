package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
)

// Each tenant has its own variant of a URL, and a purge concerns all of them.
func ExampleWithVaryBy() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	tenant := func(r *http.Request) string { // acme.example.com
		name, _, _ := strings.Cut(r.Header.Get("X-Tenant"), ".")
		return name
	}
	responses, err := cache.New(conn.Client(), cache.WithVaryBy(tenant), cache.WithMaxVariants(500))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer responses.Close(context.Background())
	handler := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "prices of ", tenant(r))
	}))
	for _, name := range []string{"acme.eu", "globex.eu", "acme.us"} {
		r := httptest.NewRequest(http.MethodGet, "http://shop.example/prices", nil)
		r.Header.Set("X-Tenant", name)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Body, strings.Contains(w.Header().Get("Cache-Status"), "hit"))
	}
	// Output:
	// prices of acme false
	// prices of globex false
	// prices of acme true
}

// Metrics, and what a request would get.
func ExampleWithHooks() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	responses, err := cache.New(conn.Client(), cache.WithHooks(cache.Hooks{
		Served: func(_ context.Context, s cache.Status) { fmt.Println("hit:", s.Hit, "stored:", s.Stored) },
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer responses.Close(context.Background())
	handler := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "expensive")
	}))
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	x, err := responses.Explain(context.Background(), r)
	fmt.Println(x.Found, x.Code, err)
	stats := responses.Stats()
	fmt.Println(stats.Hits, stats.Misses, stats.Fills)
	// Output:
	// hit: false stored: true
	// hit: true stored: false
	// true 200 <nil>
	// 1 1 1
}

// Small pages with very many requests: they are kept in the process for a second, and
// a lookup in Redis waits for 20 ms at most.
func ExampleWithNearTier() {
	_, err := cache.New(redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}),
		cache.WithNearTier(64<<20, time.Second),
		cache.WithTimeouts(20*time.Millisecond, time.Second),
		cache.WithMaxBody(1<<20),
		cache.WithCompression(true),
	)
	fmt.Println(err)
	// Output: <nil>
}

// A purge that is confirmed by a replica.
func ExampleWithWaitReplicas() {
	_, err := cache.New(redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}),
		cache.WithWaitReplicas(1, 100*time.Millisecond),
	)
	fmt.Println(err)
	// Output: <nil>
}

// A page that is built from a stored response, without a call of its handler.
func ExampleCache_Lookup() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer conn.Close(ctx)
	responses, err := cache.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer responses.Close(ctx)
	handler := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "the menu")
	}))
	r := httptest.NewRequest(http.MethodGet, "http://example.com/menu", nil)
	stored, status, err := responses.Lookup(ctx, r)
	fmt.Println(stored == nil, status.Forward, err)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	stored, _, err = responses.Lookup(ctx, r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stored.Status, string(stored.Body))
	// Output:
	// true uri-miss <nil>
	// 200 the menu
}
