package cache_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// tagged is an origin whose path names the tags: /<name>/<tag>-<tag>.
func tagged(s *site) {
	s.set(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		tags := strings.Split(parts[2], "-")
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=60")
		switch parts[1] {
		case "surrogate":
			w.Header().Set("Surrogate-Key", strings.Join(tags, " "))
		case "cdn":
			w.Header().Set("Cache-Tag", strings.Join(tags, ", "))
		default:
			w.Header().Set("Cache-Groups", `"`+strings.Join(tags, `", "`)+`"`)
		}
		fmt.Fprint(w, s.calls.Load())
	})
}

func TestTags(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		tagged(&s)
		c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
		h := c.Handler(&s)
		other := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s) // knows no tags yet
		paths := []string{"/surrogate/a", "/surrogate/a-b", "/cdn/b", "/groups/b-c", "/groups/c", "/groups/d"}
		fill := func() {
			for _, p := range paths {
				do(h, "GET", p)
			}
		}
		hits := func(h http.Handler) (all string) {
			for _, p := range paths {
				w := do(h, "GET", p, "Cache-Control: only-if-cached")
				all += map[bool]string{true: "1", false: "0"}[w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "ttl=-")]
			}
			return all
		}
		check := func(what, want string) {
			t.Helper()
			for name, h := range map[string]http.Handler{"the same": h, "another": other} {
				if got := hits(h); got != want {
					t.Errorf("%s: %s instance has %s, want %s", what, name, got, want)
				}
			}
		}
		fill()
		check("filled", "111111")
		if err := c.PurgeTags(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		check("without b", "100011")
		fill()
		if err := c.PurgeTags(t.Context(), "a", "d", "unknown"); err != nil {
			t.Fatal(err)
		}
		check("without a and d", "001110")
		fill()
		if err := c.SoftPurgeTags(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		if w := do(other, "GET", "/groups/c"); w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Status"), "hit; ttl=") {
			t.Errorf("softly purged: %s, want it served while it is refreshed", w.Header().Get("Cache-Status"))
		}
		redistest.Eventually(t, patience, func() bool { return strings.HasPrefix(hits(h)[4:], "1") }, "not refreshed after a soft purge")
		// An unsafe request names groups (RFC 9875, section 3).
		s.set(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Group-Invalidation", `"a", "c"`) })
		do(h, "POST", "/change")
		check("after the change", "001001")
	})
}

// A purge of a tag costs the same however many responses carry it: a round trip,
// and no long script; nothing is left without a TTL.
func TestAPurgeOfManyIsCheap(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var s site
		tagged(&s)
		c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
		h := c.Handler(&s)
		const pages = 500
		for i := range pages {
			do(h, "GET", fmt.Sprintf("/surrogate/t-%d", i))
		}
		if err := c.PurgeTags(t.Context(), "warm"); err != nil { // the servers learn the script
			t.Fatal(err)
		}
		count := redistest.Count(rdb)
		if err := c.PurgeTags(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		if trips := count.Trips(); trips > 3 {
			t.Errorf("%d round trips, want one to each master", trips)
		}
		count.Reset()
		for i := range pages {
			if w := do(h, "GET", fmt.Sprintf("/surrogate/t-%d", i), "Cache-Control: only-if-cached"); w.Code == 200 {
				t.Fatalf("page %d is served", i)
			}
		}
		each(t, rdb, prefix+"*", func(c *redis.Client, key string) {
			if ttl := c.PTTL(t.Context(), key).Val(); ttl <= 0 {
				t.Errorf("%s has no TTL", key)
			}
		})
	})
}

// Whatever key is lost, nothing that was purged is served.
func TestLosingAnyKeyServesNothingPurged(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for attempt := 0; ; attempt++ {
		prefix := redistest.Prefix(t)
		var s site
		s.set(answering("old", "Cache-Control: max-age=60", "Surrogate-Key: t", "Vary: Accept"))
		c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
		h := c.Handler(&s)
		do(h, "GET", "/")
		if err := c.PurgeTags(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		var keys []string
		each(t, rdb, prefix+"*", func(_ *redis.Client, key string) { keys = append(keys, key) })
		if attempt == len(keys) {
			if attempt < 3 {
				t.Errorf("only %d keys were tried", attempt)
			}
			return
		}
		rdb.Del(t.Context(), keys[attempt])
		s.set(answering("new", "Cache-Control: max-age=60", "Surrogate-Key: t", "Vary: Accept"))
		fresh := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(&s)
		for _, h := range []http.Handler{h, fresh} {
			if w := do(h, "GET", "/"); w.Body.String() != "new" {
				t.Errorf("without %s: %q is served: %s", keys[attempt], w.Body, w.Header().Get("Cache-Status"))
			}
		}
	}
}

func TestPurgeHandler(t *testing.T) {
	var s site
	tagged(&s)
	c := newCache(t, redistest.Standalone(t).Client(t))
	h := c.Handler(&s)
	if _, err := c.PurgeHandler(nil); err == nil {
		t.Error("an open purge endpoint was made")
	}
	purge, err := c.PurgeHandler(func(r *http.Request) error {
		if r.Header.Get("Authorization") != "Bearer good" {
			return errors.New("who are you?")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cached := func() bool {
		return do(h, "GET", "/surrogate/a", "Host: example.com", "Cache-Control: only-if-cached").Code == 200
	}
	post := func(method, token, body string) int {
		r := httptest.NewRequest(method, "/purge", strings.NewReader(body))
		r.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		purge.ServeHTTP(w, r)
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
		return w.Code
	}
	body := func(p cache.PurgeRequest) string { b, _ := json.Marshal(p); return string(b) }
	cases := []struct {
		method, token, body string
		status              int
		left                bool
	}{
		{"GET", "Bearer good", body(cache.PurgeRequest{All: true}), 405, true},
		{"POST", "Bearer bad", body(cache.PurgeRequest{All: true}), 403, true},
		{"POST", "Bearer good", `{"everything":true}`, 400, true},
		{"POST", "Bearer good", `{}`, 400, true},
		{"POST", "Bearer good", `{"all":true,"tags":["a"]}`, 400, true},
		{"POST", "Bearer good", body(cache.PurgeRequest{URLs: []string{"/relative"}}), 400, true},
		{"POST", "Bearer good", body(cache.PurgeRequest{Tags: []string{"z"}}), 204, true},
		{"POST", "Bearer good", body(cache.PurgeRequest{Tags: []string{"a"}}), 204, false},
		{"POST", "Bearer good", body(cache.PurgeRequest{URLs: []string{"http://example.com/surrogate/a"}}), 204, false},
		{"POST", "Bearer good", body(cache.PurgeRequest{All: true}), 204, false},
	}
	for _, tc := range cases {
		do(h, "GET", "/surrogate/a", "Host: example.com")
		if got := post(tc.method, tc.token, tc.body); got != tc.status || cached() != tc.left {
			t.Errorf("%s %s %s: got %d, cached %v, want %d, %v", tc.method, tc.token, tc.body, got, cached(), tc.status, tc.left)
		}
	}
}

func TestExplain(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	s.set(answering("page", "Cache-Control: max-age=60, stale-while-revalidate=600", "Surrogate-Key: b a", "Vary: Accept"))
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
	h := c.Handler(&s)
	r := httptest.NewRequest("GET", "http://example.com/x", nil)
	if x, err := c.Explain(t.Context(), r); err != nil || x.Found || x.Status.Forward != "uri-miss" {
		t.Errorf("nothing stored: %+v, %v", x, err)
	}
	do(h, "GET", "http://example.com/x")
	older(t, rdb, prefix, 20*time.Second)
	x, err := c.Explain(t.Context(), r)
	if err != nil || !x.Found || x.Code != 200 || fmt.Sprint(x.Tags, x.Vary) != "[a b] [Accept]" || x.Age < 20*time.Second || x.Age > 30*time.Second || x.TTL > 40*time.Second || !x.Status.Hit {
		t.Errorf("stored: %+v, %v", x, err)
	}
	if n := rdb.Exists(t.Context(), x.Key, x.Log).Val(); n != 2 {
		t.Errorf("%d of the keys %s and %s are there", n, x.Key, x.Log)
	}
	if err := c.SoftPurge(t.Context(), "http://example.com/x"); err != nil {
		t.Fatal(err)
	}
	if x, err := c.Explain(t.Context(), r); err != nil || !x.Found || !x.Soft || x.TTL >= 0 || x.Purges != x.Entered+1 {
		t.Errorf("softly purged: %+v, %v", x, err)
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("explaining calls the handler: %d", n)
	}
}
