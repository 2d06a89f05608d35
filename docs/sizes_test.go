package docs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// sizedThing is what a row of the page's table of sizes is about: n of them are made
// by one, each with another number.
type sizedThing struct {
	n   int
	one func(t *testing.T, rdb redis.UniversalClient) func(i int)
}

var sized = map[string]sizedThing{
	"client of a bucket": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		return limited(t, rdb, ratelimit.Limit{Limit: redis_rate.PerHour(100)})
	}},
	"client of a window": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		return limited(t, rdb, ratelimit.Window(100, time.Hour))
	}},
	"client of a bucket and a window": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		return limited(t, rdb, ratelimit.PerMinute(100), ratelimit.Window(1000, 24*time.Hour))
	}},
	"request under `ratelimit.Concurrency`": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		return limited(t, rdb, ratelimit.Concurrency(20))
	}},
	"session with 100 bytes": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) { return sessionOf(t, rdb, false) }},
	"the same after `Login`": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) { return sessionOf(t, rdb, true) }},
	"page of 1 KiB":          {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) { return pageOf(t, rdb, 1<<10, "") }},
	"the same with `Vary`": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		return pageOf(t, rdb, 1<<10, "Accept-Language")
	}},
	"page of 16 KiB": {200, func(t *testing.T, rdb redis.UniversalClient) func(int) { return pageOf(t, rdb, 16<<10, "") }},
	"page of 1 MiB":  {10, func(t *testing.T, rdb redis.UniversalClient) func(int) { return pageOf(t, rdb, 1<<20, "") }},
	"purged tag": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		c, err := cache.New(rdb, cache.WithTimeouts(5*time.Second, 5*time.Second))
		redistest.NoErrors(t, err)
		return func(i int) { redistest.NoErrors(t, c.PurgeTags(t.Context(), fmt.Sprint("product-", i))) }
	}},
	"lock that was used": {1000, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		l, err := lockmw.New(rdb, lockmw.WithTimeout(4*time.Second))
		redistest.NoErrors(t, err)
		redistest.CloseAfter(t, patience, l)
		return func(i int) {
			k, err := l.Acquire(t.Context(), fmt.Sprint("order-", i))
			redistest.NoErrors(t, err)
			redistest.NoErrors(t, k.Release(t.Context()))
		}
	}},
	"job of `cronlock`": {500, func(t *testing.T, rdb redis.UniversalClient) func(int) {
		r, err := cronlock.New(rdb, cronlock.WithTimeout(5*time.Second))
		redistest.NoErrors(t, err)
		redistest.CloseAfter(t, patience, r)
		return func(i int) {
			j, err := r.Job(fmt.Sprint("job-", i), func(context.Context) error { return nil })
			redistest.NoErrors(t, err)
			_, err = j.Run(t.Context(), time.Now())
			redistest.NoErrors(t, err)
		}
	}},
}

func limited(t *testing.T, rdb redis.UniversalClient, limits ...ratelimit.Limit) func(int) {
	l, err := ratelimit.New(rdb, redis_rate.Limit{}, ratelimit.WithLimits(limits...), ratelimit.WithTimeout(5*time.Second))
	redistest.NoErrors(t, err)
	return func(i int) {
		_, leave, err := l.Enter(t.Context(), fmt.Sprint(i), 1)
		redistest.NoErrors(t, err)
		t.Cleanup(leave)
	}
}

func sessionOf(t *testing.T, rdb redis.UniversalClient, login bool) func(int) {
	m, err := session.New(rdb, session.WithTimeouts(5*time.Second, 5*time.Second))
	redistest.NoErrors(t, err)
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if login {
			redistest.NoErrors(t, m.Login(r.Context(), r.URL.Path, "203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"))
		}
		m.Put(r.Context(), "cart", strings.Repeat("x", 100))
	}))
	return func(i int) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, fmt.Sprint("/user-", i), nil))
	}
}

func pageOf(t *testing.T, rdb redis.UniversalClient, size int, vary string) func(int) {
	c, err := cache.New(rdb, cache.WithTimeouts(5*time.Second, 5*time.Second))
	redistest.NoErrors(t, err)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if vary != "" {
			w.Header().Set("Vary", vary)
		}
		fmt.Fprint(w, strings.Repeat("y", size))
	}))
	return func(i int) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/products/%06d", i), nil))
		if !strings.Contains(w.Header().Get("Cache-Status"), "stored") {
			t.Fatalf("not stored: %s", w.Header().Get("Cache-Status"))
		}
	}
}

func usedMemory(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	m := regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(rdb.Info(t.Context(), "memory").Val())
	if m == nil {
		t.Fatal("INFO has no used_memory")
	}
	n, err := strconv.Atoi(m[1])
	redistest.NoErrors(t, err)
	return n
}

// The table of sizes is right to a third: what Redis uses for many of a thing,
// tables and all, divided by their number.
func TestSizesOfThePage(t *testing.T) {
	rows := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.+?) \| ([0-9,]+) bytes \|`).FindAllStringSubmatch(deploymentPage(t), -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
		redistest.NoErrors(t, err)
		rows[m[1]] = n
	}
	for name := range rows {
		if _, ok := sized[name]; !ok {
			t.Errorf("%q is not measured", name)
		}
	}
	for name, th := range sized {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.NewServer(t).Client(t)
			one := th.one(t, rdb)
			one(-1) // scripts, connections
			redistest.NoErrors(t, rdb.FlushDB(t.Context()).Err())
			before := usedMemory(t, rdb)
			for i := range th.n {
				one(i)
			}
			got := (usedMemory(t, rdb) - before) / th.n
			if want := rows[name]; got < want*2/3 || got > want*4/3 {
				t.Errorf("%d bytes, the page says %d", got, want)
			}
		})
	}
}
