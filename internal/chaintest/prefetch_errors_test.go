package chaintest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// member is limiter, session, Require and cache around page: it needs all three.
func (c *trio) member() http.Handler {
	return c.limiter.Handler(c.sessions.Handler(c.sessions.Require(c.responses.Handler(http.HandlerFunc(page)))))
}

// Rule 6: a server that hangs for one of the three delays what that one decides, for its
// own timeout, and a chain that hangs as a whole takes no longer than without.
func TestPrefetchKeepsEachDeadline(t *testing.T) {
	budgets := []time.Duration{100 * time.Millisecond, 250 * time.Millisecond, 50 * time.Millisecond}
	hang := func(t *testing.T, off bool, which ...int) (took time.Duration, status int, detail string) {
		t.Helper()
		server := redistest.NewServer(t)
		var o trioOptions
		o.off, o.defaults = off, true
		var proxies []*redistest.Proxy
		for i := range o.rdbs {
			proxy := redistest.NewProxy(t, server.Addr())
			proxies = append(proxies, proxy)
			o.rdbs[i] = server.Target().Client(t, func(o *redis.UniversalOptions) { o.Addrs = []string{proxy.Addr()} })
		}
		c := newTrio(t, server.Client(t), o)
		var cookie string
		redistest.Eventually(t, Patience, func() bool {
			cookie = c.login(t, "alice")
			w := ask(c.member(), http.MethodGet, "/page", cookie)
			return w.Code == 200 && w.Header().Get("Age") != ""
		}, "not up")
		h := c.member()
		learn(t, h, cookie)
		for _, i := range which {
			proxies[i].Mute()
		}
		begun := time.Now()
		w := ask(h, http.MethodGet, "/page", cookie)
		took = time.Since(begun)
		for _, p := range proxies {
			p.Heal()
		}
		return took, w.Code, w.Header().Get("Cache-Status")
	}
	// A busy machine is late at times: one of some attempts must be in time.
	try := func(attempt func() string) {
		t.Helper()
		problem := ""
		for range 8 {
			if problem = attempt(); problem == "" {
				return
			}
		}
		t.Error(problem)
	}
	for which, want := range []struct {
		name   string
		status int
		detail string
	}{{"limiter", 200, "hit"}, {"session", 503, ""}, {"cache", 200, "store-error"}} {
		try(func() string {
			took, status, detail := hang(t, false, which)
			budget := budgets[which]
			if took < budget*9/10 || took > budget+200*time.Millisecond || status != want.status || !strings.Contains(detail, want.detail) {
				return fmt.Sprintf("the %s hangs: %d, %s after %v, want its timeout of %v", want.name, status, detail, took, budget)
			}
			return ""
		})
	}
	try(func() string {
		with, _, _ := hang(t, false, 0, 1, 2)
		without, _, _ := hang(t, true, 0, 1, 2)
		if with > without+100*time.Millisecond {
			return fmt.Sprintf("all hang: %v, without prefetching %v", with, without)
		}
		return ""
	})
}

// Rule 8: an error that Redis replies to one command is that question's: the others of
// the batch are answered, and nothing is counted twice.
func TestAnErrorFailsItsQuestionAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, rdb redis.UniversalClient, c *trio)
		code  int
		hit   bool
	}{
		"OOM": {func(t *testing.T, rdb redis.UniversalClient, _ *trio) {
			t.Helper()
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
		}, 200, true},
		"NOPERM of the session": {func(t *testing.T, rdb redis.UniversalClient, _ *trio) {
			t.Helper()
			redistest.NoErrors(t, rdb.ACLSetUser(t.Context(), "default", "-get").Err())
		}, 500, false},
		"NOPERM of the cache": {func(t *testing.T, rdb redis.UniversalClient, _ *trio) {
			t.Helper()
			redistest.NoErrors(t, rdb.ACLSetUser(t.Context(), "default", "-hmget").Err())
		}, 200, false},
		"NOPERM of the limiter": {func(t *testing.T, rdb redis.UniversalClient, _ *trio) {
			t.Helper()
			redistest.NoErrors(t, rdb.ACLSetUser(t.Context(), "default", "-evalsha", "-eval").Err())
		}, 200, true},
		"READONLY": {func(t *testing.T, rdb redis.UniversalClient, _ *trio) {
			t.Helper()
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "replica-serve-stale-data", "yes").Err(),
				rdb.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err())
		}, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			var results [2]string
			for i, off := range []bool{false, true} {
				server := redistest.NewServer(t)
				direct, rdb := server.Client(t), server.Client(t)
				c := newTrio(t, rdb, trioOptions{off: off, limiter: []ratelimit.Option{ratelimit.WithFailureMode(ratelimit.FailOpen)}})
				cookie, h := c.login(t, "alice"), c.member()
				learn(t, h, cookie)
				ask(h, http.MethodGet, "/page", cookie)
				ask(h, http.MethodGet, "/page", cookie)
				c.noted()
				tc.spoil(t, direct, c)
				w := ask(h, http.MethodGet, "/page", cookie)
				status := w.Header().Get("Cache-Status")
				if w.Code != tc.code || strings.Contains(status, "hit") != tc.hit {
					t.Errorf("off %t: %d, %s, want %d, hit %t: %v", off, w.Code, status, tc.code, tc.hit, c.noted())
				}
				w.Header().Del("Date")
				results[i] = changing.ReplaceAllString(fmt.Sprint(w.Code, w.Header(), c.noted()), "*")
				_ = direct.ConfigSet(t.Context(), "maxmemory", "0")
				_ = direct.ACLSetUser(t.Context(), "default", "+@all")
				_ = direct.Do(t.Context(), "replicaof", "no", "one")
			}
			if results[0] != results[1] {
				t.Errorf("got\n%s\nwithout prefetching\n%s", results[0], results[1])
			}
		})
	}
}

// A server that has lost its scripts costs one more round trip, once, and the request is
// charged once.
func TestLostScriptsCostOneRoundTripOnce(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	c := newTrio(t, rdb, trioOptions{})
	cookie, h := c.login(t, "alice"), c.member()
	learn(t, h, cookie)
	before := left(t, ask(h, http.MethodGet, "/page", cookie))
	ask(h, http.MethodGet, "/page", cookie)
	server.FlushScripts(t)
	count := redistest.Count(rdb)
	for i, most := range []int{3, 1, 1} { // the batch, SCRIPT LOAD and EVALSHA
		count.Reset()
		w := ask(h, http.MethodGet, "/page", cookie)
		if w.Header().Get("Age") == "" || count.Trips() > most {
			t.Errorf("request %d: %d round trips, want at most %d, %v", i, count.Trips(), most, count.Commands())
		}
		if got := left(t, w); got != before-2-i {
			t.Errorf("request %d: %d left, want %d", i, got, before-2-i)
		}
	}
}

// Rule 7: middlewares of different clients are asked at the same time, each once.
func TestClientsAreAskedAtTheSameTime(t *testing.T) {
	shards := map[string]string{}
	for i := range 3 {
		shards[fmt.Sprint(i)] = redistest.NewServer(t).Addr()
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: shards, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = ring.Close() })
	for name, rdbs := range map[string]func() [3]redis.UniversalClient{
		"three servers": func() (all [3]redis.UniversalClient) {
			for i := range all {
				all[i] = redistest.NewServer(t).Client(t)
			}
			return all
		},
		"ring": func() [3]redis.UniversalClient { return [3]redis.UniversalClient{ring, ring, ring} },
		"standalone and cluster": func() [3]redis.UniversalClient {
			cluster := redistest.Cluster(t).Client(t)
			return [3]redis.UniversalClient{redistest.Standalone(t).Client(t), cluster, cluster}
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := rdbs()
			c := newTrio(t, all[0], trioOptions{rdbs: all, cache: []cache.Option{cache.WithBuckets(1)}})
			cookie, h := c.login(t, "alice"), c.member()
			learn(t, h, cookie)
			ask(h, http.MethodGet, "/page", cookie)
			counts := map[redis.UniversalClient]*redistest.Counter{}
			for _, rdb := range all {
				if counts[rdb] == nil {
					counts[rdb] = redistest.Count(rdb)
				}
			}
			ask(h, http.MethodGet, "/page", cookie)
			parts := 0
			for _, count := range counts {
				parts += count.Trips()
			}
			if parts < 1 || parts > 3 || name == "three servers" && parts != 3 {
				t.Fatalf("a hit has %d parts", parts)
			}
			together := newMeeting(parts)
			for rdb := range counts {
				rdb.AddHook(together)
			}
			if w := ask(h, http.MethodGet, "/page", cookie); w.Header().Get("Age") == "" || !together.complete() {
				t.Errorf("%d parts, under way together: %t, %v", parts, together.complete(), w.Header())
			}
		})
	}
}
