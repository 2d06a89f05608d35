package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func open(t *testing.T, url string) *connect.Conn {
	t.Helper()
	c, err := connect.Open(url, connect.WithName("test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// A blocked client costs one call a second, however many ask for it at once.
func TestABlockedClientCostsOneCallASecond(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := newClock()
	l := limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithClock(c.now))
	allow(t, l, "k", 1)
	allow(t, l, "k", 1)
	count := redistest.Count(rdb)
	for second := range 5 {
		count.Reset()
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 20 {
					if d, err := l.Allow(t.Context(), "k"); err != nil || d.Allowed {
						t.Errorf("got %+v, %v", d, err)
					}
				}
			})
		}
		wg.Wait()
		if got := count.Trips(); got > 1 {
			t.Errorf("second %d: %d calls, want at most 1", second, got)
		}
		c.advance(time.Second)
	}
}

// When its time comes, one request calls Redis and is admitted; the others that arrived
// with it are refused without asking, as Redis would have.
func TestTheFirstAtItsTimeCallsRedis(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := newClock()
	l := limiter(t, rdb, redis_rate.PerSecond(5), ratelimit.WithClock(c.now)) // a step of 200ms
	for range 6 {
		allow(t, l, "k", 1)
	}
	count := redistest.Count(rdb)
	for round := range 10 {
		c.advance(200 * time.Millisecond)
		count.Reset()
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if d, _ := l.Allow(t.Context(), "k"); d.Allowed {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if admitted.Load() != 1 || count.Trips() != 1 {
			t.Errorf("round %d: %d admitted with %d calls, want 1 and 1", round, admitted.Load(), count.Trips())
		}
	}
	c.advance(time.Hour) // more than a step: everybody may ask again
	var admitted atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if d, _ := l.Allow(t.Context(), "k"); d.Allowed {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 5 {
		t.Errorf("a full bucket admits %d of 32 at once, want 5", admitted.Load())
	}
}

// What the deny cache says is what Redis would say, to the byte.
func TestARememberedRefusalIsTheSame(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newClock()
	make := func(opts ...ratelimit.Option) http.Handler {
		return limiter(t, rdb, redis_rate.Limit{Rate: 3, Burst: 3, Period: time.Minute}, append(opts, ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))...).Handler(served)
	}
	cached, general, asking := make(), make(ratelimit.WithHooks(ratelimit.Hooks{Decided: func(context.Context, ratelimit.Decision, time.Duration) {}})), make(ratelimit.WithDenyCache(0, 0))
	ask := func(h http.Handler, method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		return w
	}
	for range 5 {
		ask(cached, "GET")
	}
	ask(general, "GET")
	for _, method := range []string{"GET", "GET", "HEAD", "GET"} {
		c.advance(333 * time.Millisecond)
		want := ask(asking, method)
		for name, h := range map[string]http.Handler{"cached": cached, "general": general} {
			got := ask(h, method)
			if got.Code != 429 || got.Code != want.Code || !reflect.DeepEqual(got.Header(), want.Header()) || got.Body.String() != want.Body.String() {
				t.Errorf("%s %s:\n got %d %v %s\nwant %d %v %s", name, method, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		}
	}
}

// A reset, a refund or a raised limit is seen at once where it is made, and
// within a second elsewhere.
func TestResetsReachOtherInstances(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newClock()
	here := limiter(t, rdb, redis_rate.PerHour(2), ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))
	there := limiter(t, rdb, redis_rate.PerHour(2), ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))
	exhaust := func() {
		t.Helper()
		for range 5 {
			allow(t, here, "k", 1)
		}
		if d := allow(t, there, "k", 1); d.Allowed {
			t.Fatal("not exhausted")
		}
	}
	for name, undo := range map[string]func() error{
		"reset":  func() error { return here.Reset(t.Context(), "k") },
		"refund": func() error { _, err := here.AllowN(t.Context(), "k", -2); return err },
	} {
		exhaust()
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if d := allow(t, here, "k", 1); !d.Allowed {
			t.Errorf("%s: still refused where it was made", name)
		}
		c.advance(time.Second)
		if d := allow(t, there, "k", 1); !d.Allowed {
			t.Errorf("%s: refused elsewhere after a second", name)
		}
	}
}

// The cache forgets rather than grow.
func TestDenyCacheIsBounded(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithDenyCache(64, time.Hour))
	for i := range 1000 {
		for range 2 {
			allow(t, l, fmt.Sprint(i), 1)
		}
	}
	count := redistest.Count(rdb)
	for i := range 1000 {
		if d := allow(t, l, fmt.Sprint(i), 1); d.Allowed {
			t.Fatalf("%d: admitted", i)
		}
	}
	if got := count.Trips(); got < 900 {
		t.Errorf("%d of 1000 refusals called Redis: more are remembered than the bound", got)
	}
}

// Through the Handler as well: when a second is over one request asks Redis,
// and at its time a blocked client is served.
func TestTheHandlerCallsRedisAgain(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newClock()
	make := func() *ratelimit.Limiter {
		return limiter(t, rdb, redis_rate.PerMinute(1), ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))
	}
	here, there := make(), make()
	h := here.Handler(served)
	for i, want := range []int{200, 429, 429} {
		if got := request(h, http.MethodGet).Code; got != want {
			t.Fatalf("request %d: got %d, want %d", i, got, want)
		}
	}
	c.advance(time.Minute)
	if got := request(h, http.MethodGet).Code; got != 200 {
		t.Errorf("at the time that was named: got %d, want 200", got)
	}
	request(h, http.MethodGet)
	if err := there.Reset(t.Context(), "192.0.2.1/32"); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	if got := request(h, http.MethodGet).Code; got != 200 {
		t.Errorf("a second after a reset elsewhere: got %d, want 200", got)
	}

	// A step of less than a second: the first that comes at its time is served.
	h = limiter(t, rdb, redis_rate.PerSecond(5), ratelimit.WithClock(c.now)).Handler(served)
	for range 7 {
		request(h, http.MethodGet)
	}
	for round := range 5 {
		c.advance(200 * time.Millisecond)
		if first, second := request(h, http.MethodGet).Code, request(h, http.MethodGet).Code; first != 200 || second != 429 {
			t.Errorf("round %d: got %d and %d, want 200 and 429", round, first, second)
		}
	}
}
