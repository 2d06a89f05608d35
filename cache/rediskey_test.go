package cache_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Every key that a cache with the default prefix writes is recognized.
func TestParseKeyKnowsAllKeys(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	c, err := cache.New(rdb, cache.WithName("shop"))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, c)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", r.URL.Query().Get("control"))
		w.Header().Set("Vary", "Accept-Language")
		body := make([]byte, 300<<10)
		w.Write(body[:len(body)*len(r.URL.Path)/len("/large")])
	}))
	for _, url := range []string{"/?control=max-age=60", "/large?control=max-age=60", "/?control=private", "/?control=private"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, url, nil))
	}
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 5 {
		t.Fatalf("got %q, %v", keys, err)
	}
	entries := 0
	for _, key := range keys {
		got, ok := cache.ParseKey(key)
		if !ok || got.Cache != "shop" {
			t.Errorf("%s: got %+v, %t", key, got, ok)
		}
		if got.Entry != "" {
			entries++
		}
	}
	if entries != 2 {
		t.Errorf("got %d entries in %q, want 2", entries, keys)
	}
	for _, key := range []string{"", "cache:v1:shop:{1.2}:log", "cache:v2:shop:{1.2}:x:", "cache:v2:a b:{1.2}:log", "other:v2:shop:{1.2}:log"} {
		if got, ok := cache.ParseKey(key); ok {
			t.Errorf("%q: got %+v, want none", key, got)
		}
	}
}
