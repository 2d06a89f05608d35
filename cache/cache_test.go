package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

func newCache(t testing.TB, rdb cache.Client, opts ...cache.Option) *cache.Cache {
	t.Helper()
	c, err := cache.New(rdb, append([]cache.Option{cache.WithKeyPrefix(redistest.Prefix(t)), cache.WithTimeouts(5*time.Second, 5*time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, c)
	return c
}

// each visits every key of a prefix on all masters.
func each(t testing.TB, rdb redis.UniversalClient, pattern string, fn func(c *redis.Client, key string)) {
	t.Helper()
	scan := func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, pattern).Result()
		for _, key := range keys {
			fn(c, key)
		}
		return err
	}
	var err error
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return scan(ctx, c)
		})
	} else {
		err = scan(t.Context(), rdb.(*redis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// older makes all entries of a prefix older: the age of an entry is what is gone of
// its time in Redis.
func older(t testing.TB, rdb redis.UniversalClient, prefix string, d time.Duration) {
	t.Helper()
	n := 0
	each(t, rdb, prefix+"*:e:*", func(c *redis.Client, key string) {
		n++
		left := c.PTTL(t.Context(), key).Val()
		if err := c.PExpire(t.Context(), key, left-d).Err(); err != nil {
			t.Error(err)
		}
	})
	if n == 0 {
		t.Error("nothing is stored")
	}
}

// do makes a request; header lines are "Name: value".
func do(h http.Handler, method, target string, lines ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// origin answers with a counter and the given header lines.
func origin(status int, lines ...string) http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "body %d", n)
	})
}

func TestHitAndMiss(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		h := newCache(t, rdb).Handler(origin(200, "Cache-Control: max-age=60", "X-Own: 1", "Content-Type: text/plain"))
		w := do(h, "GET", "/a")
		if got, want := w.Header().Get("Cache-Status"), "redishttp; fwd=uri-miss; fwd-status=200; stored"; got != want {
			t.Errorf("miss: %s, want %s", got, want)
		}
		count := redistest.Count(rdb)
		w = do(h, "GET", "/a")
		if got := w.Header().Get("Cache-Status"); !regexp.MustCompile(`^redishttp; hit; ttl=(59|60)$`).MatchString(got) {
			t.Errorf("hit: %s", got)
		}
		if w.Body.String() != "body 1" || w.Header().Get("X-Own") != "1" || w.Header().Get("Age") != "0" || w.Header().Get("Date") == "" || w.Header().Get("Content-Length") != "6" {
			t.Errorf("hit: %q %v", w.Body, w.Header())
		}
		if got := count.Trips(); got != 1 {
			t.Errorf("a hit costs %d round trips, want 1", got)
		}
		if w = do(h, "HEAD", "/a"); w.Body.Len() != 0 || w.Header().Get("Content-Length") != "6" || w.Header().Get("Age") == "" {
			t.Errorf("HEAD: %q %v", w.Body, w.Header())
		}
		if do(h, "GET", "/b").Body.String() != "body 2" {
			t.Error("another URL has the same entry")
		}
		count.Reset()
		do(h, "GET", "/c")
		if got := count.Trips(); got != 2 && g.Name != "cluster" { // a cluster's other buckets begin their log
			t.Errorf("a miss costs %d round trips, want 2", got)
		}
	})
}

// What may and may not be stored, by header lines of the response.
func TestStorable(t *testing.T) {
	past, future := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	cases := []struct {
		detail string // of Cache-Status; "" = stored
		status int
		lines  []string
	}{
		{"", 200, []string{"Cache-Control: max-age=60"}},
		{"", 200, []string{"Cache-Control: public, s-maxage=60, max-age=0"}},
		{"", 200, []string{"Cache-Control: max-age=\"60\""}},
		{"", 200, []string{"Expires: " + future}},
		{"", 404, []string{"Cache-Control: max-age=60"}},
		{"", 301, []string{"Cache-Control: max-age=60", "Location: /x"}},
		{"not-fresh", 200, nil},
		{"not-fresh", 200, []string{"Cache-Control: max-age=0"}},
		{"not-fresh", 200, []string{"Cache-Control: max-age=junk"}},
		{"not-fresh", 200, []string{"Cache-Control: max-age=60, s-maxage=0"}},
		{"not-fresh", 200, []string{"Cache-Control: max-age=60", "Age: 60"}},
		{"not-fresh", 200, []string{"Cache-Control: max-age=60", "Date: " + past}},
		{"not-fresh", 200, []string{"Expires: " + past}},
		{"not-fresh", 200, []string{"Expires: 0"}},
		{"no-store", 200, []string{"Cache-Control: max-age=60, no-store"}},
		{"no-store", 200, []string{"Cache-Control: max-age=60", "Cache-Control: NO-STORE"}},
		{"private", 200, []string{"Cache-Control: private, max-age=60"}},
		{"no-cache", 200, []string{"Cache-Control: no-cache=\"a, b\", max-age=60"}},
		{"set-cookie", 200, []string{"Cache-Control: max-age=60", "Set-Cookie: a=b"}},
		{"vary", 200, []string{"Cache-Control: max-age=60", "Vary: *"}},
		{"vary", 200, []string{"Cache-Control: max-age=60", "Vary: Accept", "Vary: cookie"}},
		{"vary", 200, []string{"Cache-Control: max-age=60", "Vary: a,b,c,d,e,f,g,h,i"}},
		{"status", 206, []string{"Cache-Control: max-age=60", "Content-Range: bytes 0-3/10"}},
		{"", 200, []string{"Last-Modified: " + past}},
		{"", 404, []string{"Last-Modified: " + past}},
		{"not-fresh", 500, []string{"Cache-Control: max-age=0"}},
		{"", 200, []string{"Cache-Control: no-store", "CDN-Cache-Control: max-age=60"}},
		{"no-store", 200, []string{"Cache-Control: max-age=60", "CDN-Cache-Control: no-store"}},
		{"", 200, []string{"Cache-Control: max-age=60", "CDN-Cache-Control: no store"}}, // not a structured field
		{"", 200, []string{"Cache-Control: max-age=60, no-store, must-understand"}},
		{"status", 299, []string{"Cache-Control: max-age=60, must-understand"}},
		{"tags", 200, []string{"Cache-Control: max-age=60", "Surrogate-Key: " + strings.Repeat("x", 2000)}},
		{"event-stream", 200, []string{"Cache-Control: max-age=60", "Content-Type: text/event-stream"}},
		{"trailer", 200, []string{"Cache-Control: max-age=60", "Trailer: X"}},
		{"too-large", 200, []string{"Cache-Control: max-age=60", "Content-Length: 99999999"}},
	}
	for _, tc := range cases {
		h := newCache(t, redistest.Standalone(t).Client(t)).Handler(origin(tc.status, tc.lines...))
		first := do(h, "GET", "/")
		want := fmt.Sprintf("redishttp; fwd=uri-miss; fwd-status=%d; detail=%s", tc.status, tc.detail)
		if tc.detail == "" {
			want = fmt.Sprintf("redishttp; fwd=uri-miss; fwd-status=%d; stored", tc.status)
		}
		if got := first.Header().Get("Cache-Status"); got != want {
			t.Errorf("%v:\n got %s\nwant %s", tc.lines, got, want)
		}
		second := do(h, "GET", "/")
		if hit := second.Header().Get("Age") != "" && strings.Contains(second.Header().Get("Cache-Status"), "hit"); hit != (tc.detail == "") || second.Code != tc.status {
			t.Errorf("%v: second request: status %d, hit %v", tc.lines, second.Code, hit)
		}
	}
}

// Requests that get a response of their own, though an entry is there.
func TestRequestsThatAreNotAnsweredFromTheStore(t *testing.T) {
	cases := map[string][]string{
		"fwd=request": {"Cache-Control: no-cache"},
		"fwd=request; fwd-status=200; detail=no-store":      {"Cache-Control: no-store"},
		"fwd=request; fwd-status=200; detail=authorization": {"Authorization: Bearer x"},
		"fwd=bypass; fwd-status=200; detail=upgrade":        {"Upgrade: websocket"},
		"fwd=request;":   {"Pragma: no-cache"},
		"fwd=request; f": {"Cache-Control: min-fresh=600"},
		"fwd=uri-miss":   {"X-Forwarded-Host: evil.example"},
	}
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(origin(200, "Cache-Control: max-age=60"))
	do(h, "GET", "/")
	for want, lines := range cases {
		if w := do(h, "GET", "/", lines...); w.Header().Get("Age") != "" || !strings.Contains(w.Header().Get("Cache-Status"), want) {
			t.Errorf("%v: %s, want %s", lines, w.Header().Get("Cache-Status"), want)
		}
	}
	r := httptest.NewRequest("GET", "/", strings.NewReader("poison"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if !strings.Contains(w.Header().Get("Cache-Status"), "fwd=bypass; fwd-status=200; detail=request-body") {
		t.Errorf("a body: %s", w.Header().Get("Cache-Status"))
	}
	if w := do(h, "GET", "/never", "Cache-Control: only-if-cached"); w.Code != 504 {
		t.Errorf("only-if-cached: got %d, want 504", w.Code)
	}
	if w := do(h, "GET", "/", "Cache-Control: only-if-cached, max-age=60"); w.Code != 200 || w.Header().Get("Age") == "" {
		t.Errorf("only-if-cached with an entry: got %d %v", w.Code, w.Header())
	}
}

func TestKeysAreTheURLAsSent(t *testing.T) {
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.Host, " ", r.RequestURI)
	}))
	seen := map[string]string{}
	for _, target := range []string{"/a/b", "/a%2Fb", "/a%2fb", "/a?q=1", "/a%3Fq=1", "/a", "/a?", "/A", "//a", "/a?q=1&q=1", "http://example.com:8080/a", "https://example.com/a", "http://other.example/a"} {
		w := do(h, "GET", target)
		if other, again := seen[w.Body.String()]; again || w.Header().Get("Age") != "" {
			t.Errorf("%s is answered with the entry of %s", target, other)
		}
		seen[w.Body.String()] = target
	}
	for same, target := range map[string]string{"http://EXAMPLE.com/a": "/a", "http://example.com:80/a": "/a", "https://example.com:443/a": "https://example.com/a"} {
		if w := do(h, "GET", same); w.Header().Get("Age") == "" {
			t.Errorf("%s has not the entry of %s", same, target)
		}
	}
}

func TestVary(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		instances := make([]http.Handler, 2)
		for i := range instances {
			instances[i] = newCache(t, g.Client(t), cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Add("Vary", "accept-language")
				w.Header().Add("Vary", "Accept-Encoding")
				fmt.Fprint(w, r.Header["Accept-Language"], r.Header["Accept-Encoding"])
			}))
		}
		for _, lang := range []string{"de", "en", "en, de", ""} {
			var lines []string
			if lang != "" {
				lines = append(lines, "Accept-Language: "+lang)
			}
			w := do(instances[0], "GET", "/", lines...)
			if w.Header().Get("Age") != "" {
				t.Errorf("%q: answered with another variant: %s", lang, w.Body)
			}
			for i, h := range instances { // the other one has to learn what selects
				again := do(h, "GET", "/", lines...)
				if again.Header().Get("Age") == "" || again.Body.String() != w.Body.String() {
					t.Errorf("%q on instance %d: %s %q, want a hit with %q", lang, i, again.Header().Get("Cache-Status"), again.Body, w.Body)
				}
			}
		}
		do(instances[0], "GET", "/", "Accept-Encoding: gzip, br")
		if w := do(instances[0], "GET", "/", "Accept-Encoding: BR,  gzip, x;q=0"); w.Header().Get("Age") == "" {
			t.Error("two ways to write the same encodings are two variants")
		}
	})
}

func TestConditionalAndRangeRequests(t *testing.T) {
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Last-Modified", "Sat, 01 Nov 2025 00:00:00 GMT")
		io.WriteString(w, "0123456789")
	}))
	do(h, "GET", "/")
	cases := []struct {
		line   string
		status int
		body   string
	}{
		{`If-None-Match: "v1"`, 304, ""},
		{`If-None-Match: W/"v1", "x"`, 304, ""},
		{`If-None-Match: "v2"`, 200, "0123456789"},
		{"If-Modified-Since: Sat, 01 Nov 2025 00:00:00 GMT", 304, ""},
		{"If-Modified-Since: Fri, 31 Oct 2025 00:00:00 GMT", 200, "0123456789"},
		{"Range: bytes=2-4", 206, "234"},
		{"Range: bytes=-3", 206, "789"},
		{"Range: bytes=20-", 416, "invalid range: failed to overlap\n"},
		{"Range: junk", 200, "0123456789"},
	}
	for _, tc := range cases {
		if w := do(h, "GET", "/", tc.line); w.Code != tc.status || w.Body.String() != tc.body {
			t.Errorf("%s: got %d %q, want %d %q", tc.line, w.Code, w.Body, tc.status, tc.body)
		}
	}
	if w := do(h, "GET", "/fresh", "Range: bytes=2-4"); w.Code != 200 || w.Body.String() != "0123456789" {
		t.Errorf("a range of what is not stored is the handler's: got %d %q", w.Code, w.Body)
	}
}

func TestPurge(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c := newCache(t, rdb)
		h := c.Handler(origin(200, "Cache-Control: max-age=60", "Vary: Accept"))
		foreign := redistest.Prefix(t)
		rdb.Set(t.Context(), foreign, "x", time.Minute)
		fresh := func(target string, lines ...string) bool {
			return do(h, "GET", target, lines...).Header().Get("Age") != ""
		}
		fresh("/a")
		fresh("/a", "Accept: x")
		fresh("/b")
		if !fresh("/a") || !fresh("/a", "Accept: x") || !fresh("/b") {
			t.Fatal("not stored")
		}
		if err := c.Purge(t.Context(), "http://example.com/a"); err != nil {
			t.Fatal(err)
		}
		if fresh("/a") || fresh("/a", "Accept: x") {
			t.Error("a variant survives the purge of its URL")
		}
		if !fresh("/b") {
			t.Error("another URL was purged")
		}
		if !fresh("/a") {
			t.Error("what was fetched after the purge is not stored")
		}
		if err := c.PurgeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fresh("/a") || fresh("/b") {
			t.Error("an entry survives PurgeAll")
		}
		if rdb.Get(t.Context(), foreign).Val() != "x" {
			t.Error("a foreign key was purged")
		}
		if err := c.Purge(t.Context(), "/relative", "ftp://x/y", "http://%zz/secret"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("URLs that are none: got %v", err)
		}
		for method, void := range map[string]bool{"POST": true, "DELETE": true, "OPTIONS": false} {
			fresh("/m")
			fresh("/m")
			do(h, method, "/m")
			if got := !fresh("/m"); got != void {
				t.Errorf("%s: entry void %v, want %v", method, got, void)
			}
		}
	})
}

func TestUnsafeRequestsVoidWhatTheyName(t *testing.T) {
	status := 201
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Location", "/named")
			w.Header().Set("Content-Location", "http://elsewhere.example/other")
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "x")
	}))
	hit := func(target string) bool { return do(h, "GET", target).Header().Get("Age") != "" }
	for _, target := range []string{"/named", "http://elsewhere.example/other"} {
		hit(target)
	}
	do(h, "POST", "/")
	if hit("/named") || !hit("http://elsewhere.example/other") {
		t.Error("Location on this host is to be void, another host's is not")
	}
	status = 500
	hit("/named")
	do(h, "POST", "/named")
	if !hit("/named") {
		t.Error("a failed request made an entry void")
	}
}

// The log lost, evicted or rolled back, entries of others: always a miss.
func TestLostAndForeignKeys(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
	h := c.Handler(origin(200, "Cache-Control: max-age=60", "Vary: Accept"))
	hit := func() bool { return do(h, "GET", "/").Header().Get("Age") != "" }
	log := prefix + ":v2:default:{1.0}:log"
	for what, lose := range map[string]func(){
		"log lost": func() { rdb.Del(t.Context(), log) },
		"log rolled back": func() { // a failover to a master that did not know of the last purges
			c.Purge(t.Context(), "http://example.com/")
			c.Purge(t.Context(), "http://example.com/")
			hit()
			hit()
			rdb.HDel(t.Context(), log, "u:"+hashOf(t, rdb, prefix))
			rdb.HSet(t.Context(), log, "_seq", 0)
		},
		"all keys corrupt": func() {
			keys, _ := rdb.Keys(t.Context(), prefix+"*:e:*").Result()
			for _, key := range keys {
				rdb.Set(t.Context(), key, "\x01junk", time.Minute)
			}
		},
		"entry of another URL": func() {
			do(h, "GET", "/other")
			var other string
			keys, _ := rdb.Keys(t.Context(), prefix+"*:e:*").Result()
			for _, key := range keys {
				if v := rdb.Get(t.Context(), key).Val(); strings.Contains(v, "/other") {
					other = v
				}
			}
			for _, key := range keys {
				rdb.Set(t.Context(), key, other, 50*time.Second)
			}
		},
		"no TTL": func() {
			keys, _ := rdb.Keys(t.Context(), prefix+"*:e:*").Result()
			for _, key := range keys {
				rdb.Persist(t.Context(), key)
			}
		},
	} {
		hit()
		if !hit() {
			t.Fatalf("before %q: not stored", what)
		}
		lose()
		if hit() {
			t.Errorf("%s: served all the same", what)
		}
	}
	keys, _ := rdb.Keys(t.Context(), prefix+"*").Result()
	hit()
	for _, key := range keys {
		if ttl := rdb.TTL(t.Context(), key).Val(); ttl <= 0 && strings.HasSuffix(key, ":log") {
			t.Errorf("%s has no TTL", key)
		}
	}
}

// hashOf is the hash of the one URL that was purged.
func hashOf(t *testing.T, rdb redis.UniversalClient, prefix string) string {
	t.Helper()
	fields, err := rdb.HKeys(t.Context(), prefix+":v2:default:{1.0}:log").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		if hash, ok := strings.CutPrefix(field, "u:"); ok {
			return hash
		}
	}
	t.Fatal("no URL was purged")
	return ""
}

func TestLookup(t *testing.T) {
	c := newCache(t, redistest.Standalone(t).Client(t))
	h := c.Handler(origin(200, "Cache-Control: max-age=60"))
	do(h, "GET", "/")
	resp, s, err := c.Lookup(t.Context(), httptest.NewRequest("GET", "/", nil))
	if err != nil || resp == nil || !s.Hit || string(resp.Body) != "body 1" || resp.Status != 200 || resp.TTL <= 0 {
		t.Errorf("got %+v, %v, %v", resp, s, err)
	}
	if resp, s, err = c.Lookup(t.Context(), httptest.NewRequest("GET", "/none", nil)); resp != nil || err != nil || s.Forward != "uri-miss" {
		t.Errorf("none: got %+v, %v, %v", resp, s, err)
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := cache.New(nil, nil, cache.WithName("a b"), cache.WithKeyPrefix(""), cache.WithIdentifier("1"), cache.WithTimeouts(0, 1), cache.WithMaxBody(0),
		cache.WithMaxTTL(0), cache.WithBuckets(0), cache.WithLogger(nil))
	for _, option := range []string{"rdb", "WithName", "WithKeyPrefix", "WithIdentifier", "WithTimeouts", "WithMaxBody", "WithMaxTTL", "WithBuckets", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), "cache: "+option+": ") {
			t.Errorf("%s is not reported in:\n%v", option, err)
		}
	}
	var none *redis.Client
	if _, err := cache.New(none); err == nil {
		t.Error("a nil *redis.Client is taken")
	}
}

func redisClient(t testing.TB, o *redis.Options) *redis.Client {
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
