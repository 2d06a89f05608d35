package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/session"
)

func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	responses, err := cache.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "expensive")
	}))
	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://example.com/", nil))
		fmt.Println(w.Body, w.Header().Get("Cache-Status")[:14])
	}
	if err := responses.Purge(context.Background(), "http://example.com/"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// expensive redishttp; fwd
	// expensive redishttp; hit
}

// A session inside the cache sets a cookie on every response that changes it,
// which is then not stored. Put the cache inside the session.
func ExampleCache_Handler_incorrect() {
	var responses *cache.Cache
	var sessions *session.Manager
	_ = func(page http.Handler) http.Handler { return responses.Handler(sessions.Handler(page)) }
}

func ExampleNew_mistakes() {
	_, err := cache.New(nil, cache.WithMaxBody(-1))
	fmt.Println(err)
	// Output:
	// cache: rdb: is nil
	// cache: WithMaxBody: -1 is not above 0
}

// Handlers that send no Cache-Control can be cached for a while by route.
func ExampleWithDefaultTTL() {
	responses, err := cache.New(redis.NewClient(&redis.Options{}),
		cache.WithDefaultTTL(time.Minute),
		cache.WithVary("Accept-Language"),
		cache.WithSkip(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/admin/") }),
	)
	fmt.Println(responses != nil, err)
	// Output: true <nil>
}

// A purge of a tag, by a service that knows what changed.
func ExampleCache_PurgeTags() {
	var responses *cache.Cache // from New
	changed := func(ctx context.Context, product int) error {
		return responses.PurgeTags(ctx, fmt.Sprint("product-", product)) // Surrogate-Key of all pages that show it
	}
	_ = changed
}

// An endpoint that purges for those who may.
func ExampleCache_PurgeHandler() {
	responses, err := cache.New(redis.NewClient(&redis.Options{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	purge, err := responses.PurgeHandler(func(r *http.Request) error {
		if r.Header.Get("Authorization") != "Bearer "+os.Getenv("PURGE_TOKEN") {
			return errors.New("not allowed")
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	purge.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/purge", strings.NewReader(`{"tags":["product-7"]}`)))
	fmt.Println(w.Code)
	// Output: 403
}

// Behind a proxy that ends TLS: keys have the scheme that the proxy names, and a
// purge concerns either.
func ExampleWithTrustedProxies() {
	conn, err := connect.Open("embedded://", embedded.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	responses, err := cache.New(conn.Client(), cache.WithTrustedProxies("X-Forwarded-Proto", netip.MustParsePrefix("10.0.0.0/8")))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "http://example.com/page", nil)
	r.Header.Set("X-Forwarded-Proto", "https")
	for _, peer := range []string{"10.0.0.7:1234", "192.0.2.1:1234"} {
		r.RemoteAddr = peer
		x, err := responses.Explain(context.Background(), r)
		fmt.Println(x.URL, err)
	}
	// Output:
	// https://example.com/page <nil>
	// http://example.com/page <nil>
}
