package ratelimit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func named(name string, l redis_rate.Limit) ratelimit.Limit {
	return ratelimit.Limit{Limit: l, Name: name}
}

// All or nothing: what one policy refuses costs the others nothing.
func TestSeveralPolicies(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := newClock()
		rdb := g.Client(t)
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithClock(c.now),
			ratelimit.WithLimits(named("burst", redis_rate.PerSecond(3)), named("daily", redis_rate.Limit{Rate: 5, Burst: 5, Period: 24 * time.Hour})))
		allow(t, l, "k", 0) // its node learns the script
		count := redistest.Count(rdb)
		for i := range 3 {
			d := allow(t, l, "k", 1)
			if !d.Allowed || d.Policy != "burst" || d.Remaining != 2-i || len(d.Policies()) != 2 || d.Policies()[1].Remaining != 4-i {
				t.Fatalf("request %d: got %+v", i, d)
			}
		}
		if d := allow(t, l, "k", 1); d.Allowed || d.Policy != "burst" || d.Policies()[1].Remaining != 2 || d.Policies()[1].RetryAfter != 0 {
			t.Errorf("burst exhausted: got %+v, want daily untouched", d)
		}
		c.advance(time.Second)
		for range 2 {
			if d := allow(t, l, "k", 1); !d.Allowed {
				t.Errorf("after a second: got %+v", d)
			}
		}
		d := allow(t, l, "k", 1)
		if d.Allowed || d.Policy != "daily" || d.RetryAfter < time.Hour || d.Policies()[0].Remaining != 1 {
			t.Errorf("daily exhausted: got %+v, want burst untouched", d)
		}
		c.advance(10 * time.Second)
		if d := allow(t, l, "k", 1); d.Policies()[0].Remaining != 3 {
			t.Errorf("refused requests cost the other policy: %+v", d)
		}
		if got := count.Trips(); got > 8 {
			t.Errorf("8 decisions took %d round trips", got)
		}
	})
}

// In every interval of its length a window admits no more than it says,
// whatever comes, and it does not refuse for long what it could admit.
func TestWindowIsStrict(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for range 5 {
		n, period := 2+rand.IntN(30), time.Duration(1+rand.IntN(5000))*time.Millisecond
		c := newClock()
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Window(n, period)), ratelimit.WithClock(c.now))
		type use struct {
			at   int64
			cost int
		}
		var used []use
		for op := range 600 {
			c.us.Add(rand.Int64N(period.Microseconds()/int64(n)*2 + 1))
			if rand.IntN(50) == 0 {
				c.us.Add(period.Microseconds())
			}
			cost := 1 + rand.IntN(2)
			now := c.us.Load()
			recent, generous := 0, 0 // in the window, and in one a slot and a bit longer
			for _, u := range used {
				if u.at > now-period.Microseconds() {
					recent += u.cost
				}
				if u.at > now-period.Microseconds()*102/100-100 {
					generous += u.cost
				}
			}
			d := allow(t, l, "k", cost)
			switch {
			case d.Allowed && recent+cost > n:
				t.Fatalf("%d in %v, operation %d: %d in the last window and %d more admitted", n, period, op, recent, cost)
			case !d.Allowed && generous+cost <= n:
				t.Fatalf("%d in %v, operation %d: refused with %d in a longer window", n, period, op, generous)
			}
			if d.Allowed {
				used = append(used, use{now, cost})
				continue
			}
			if d.RetryAfter <= 0 || d.RetryAfter > period*102/100+time.Millisecond {
				t.Fatalf("%d in %v: refused for %v", n, period, d.RetryAfter)
			}
			if rand.IntN(4) == 0 { // no other request: it is admitted at the time named
				c.advance(d.RetryAfter)
				if d := allow(t, l, "k", cost); !d.Allowed {
					t.Fatalf("%d in %v: not admitted at the time that was named: %+v", n, period, d)
				}
				used = append(used, use{c.us.Load(), cost})
			}
		}
	}
}

func TestWindowCountsDownRefundsAndHeals(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Window(3, time.Hour)), ratelimit.WithKeyPrefix(prefix))
		for want := 2; want >= 0; want-- {
			if d := allow(t, l, "k", 1); !d.Allowed || d.Remaining != want {
				t.Fatalf("got %+v, want %d remaining", d, want)
			}
		}
		if d := allow(t, l, "k", 1); d.Allowed || d.RetryAfter <= 59*time.Minute {
			t.Errorf("full: got %+v", d)
		}
		if d := allow(t, l, "k", 4); d.Allowed || d.RetryAfter != -1 {
			t.Errorf("a cost above the limit: got %+v", d)
		}
		if d, err := l.AllowN(t.Context(), "k", -2); err != nil || d.Remaining != 2 {
			t.Errorf("refund: got %+v, %v", d, err)
		}
		if d, err := l.AllowN(t.Context(), "k", -100); err != nil || d.Remaining != 3 {
			t.Errorf("refund of more than was used: got %+v, %v", d, err)
		}
		if d, err := l.Charge(t.Context(), "k", 2); err != nil || d.Remaining != 1 {
			t.Errorf("charge: got %+v, %v", d, err)
		}
		for _, key := range keys(t, g, prefix) {
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 62*time.Minute {
				t.Errorf("%s lives for %v", key, ttl)
			}
			rdb.Del(t.Context(), key)
			rdb.Set(t.Context(), key, "foreign", time.Minute)
		}
		if d := allow(t, l, "k", 1); !d.Allowed || d.Remaining != 2 {
			t.Errorf("a foreign value: got %+v", d)
		}
	})
}

func keys(t *testing.T, g *redistest.Target, prefix string) []string {
	t.Helper()
	var all []string
	for key, err := range open(t, g.URL).Keys(t.Context(), prefix+":*") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key)
	}
	return all
}

func TestLimitsByRequest(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	tiers := map[string][]ratelimit.Limit{
		"free": {named("tier", redis_rate.PerHour(1))}, "paid": {named("tier", redis_rate.PerHour(3)), named("route", redis_rate.PerHour(2))},
		"wrong": {{}}, "twice": {named("a", redis_rate.PerHour(1)), named("a", redis_rate.PerHour(2))},
	}
	l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimitsFunc(func(r *http.Request) []ratelimit.Limit { return tiers[r.URL.Query().Get("tier")] }))
	h := l.Handler(served)
	ask := func(tier string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/?tier="+tier, nil)
		r.RemoteAddr = tier + "0.0.0.0:1"
		r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", len(tier))
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, tc := range []struct {
		tier string
		want []int
	}{{"free", []int{200, 429}}, {"paid", []int{429}}, {"none!", []int{200, 200, 200}}, {"wrong", []int{500}}, {"twice", []int{500}}} {
		for i, want := range tc.want {
			if got := ask(tc.tier); got != want && tc.tier != "paid" {
				t.Errorf("%s, request %d: got %d, want %d", tc.tier, i, got, want)
			}
		}
	}
	if _, err := l.Allow(t.Context(), "k"); err == nil {
		t.Error("Allow without limits of its own: no error")
	}
	d, err := l.AllowN(t.Context(), "k", 1, tiers["paid"]...)
	if err != nil || !d.Allowed || len(d.Policies()) != 2 {
		t.Errorf("AllowN with limits: got %+v, %v", d, err)
	}
	if d, err := l.AllowN(t.Context(), "k", 1); !errors.Is(err, errors.ErrUnsupported) || d.Allowed {
		t.Errorf("no limits: got %+v, %v", d, err)
	}
	// Limits made of what clients send must not fill the memory.
	for i := range 2000 {
		_, err = l.AllowN(t.Context(), "k", 1, named(fmt.Sprint("n", i), redis_rate.PerHour(1)))
	}
	if err == nil || !strings.Contains(err.Error(), "different sets") {
		t.Errorf("2000 different sets: got %v", err)
	}
}

func TestCost(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerHour(5), ratelimit.WithCost(func(r *http.Request) int {
		var cost int
		if _, err := fmt.Sscan(r.URL.Query().Get("cost"), &cost); err != nil {
			panic("no cost")
		}
		return cost
	}))
	h := l.Handler(served)
	for _, tc := range []struct {
		cost      string
		status    int
		remaining string
	}{{"3", 200, `"5-per-3600s";r=2;t=720`}, {"0", 200, ""}, {"3", 429, `"5-per-3600s";r=2;t=720`}, {"6", 429, ""}, {"-1", 500, ""}, {"x", 500, ""}, {"2", 200, ""}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/?cost="+tc.cost, nil))
		if w.Code != tc.status || tc.remaining != "" && w.Header().Get("RateLimit") != tc.remaining {
			t.Errorf("cost %s: got %d %q, want %d %q", tc.cost, w.Code, w.Header().Get("RateLimit"), tc.status, tc.remaining)
		}
		if tc.cost == "6" && w.Header().Get("Retry-After") != "" {
			t.Error("a cost above the burst has a Retry-After")
		}
	}
}

func TestBlock(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, limit := range []ratelimit.Limit{named("g", redis_rate.PerHour(10)), ratelimit.Window(10, time.Hour)} {
			c := newClock()
			l := limiter(t, g.Client(t), redis_rate.Limit{}, ratelimit.WithLimits(limit), ratelimit.WithClock(c.now))
			allow(t, l, "k", 1)
			if err := l.Block(t.Context(), "k", time.Minute); err != nil {
				t.Fatal(err)
			}
			if d := allow(t, l, "k", 1); d.Allowed || d.RetryAfter != time.Minute || d.Remaining != 0 {
				t.Errorf("blocked: got %+v", d)
			}
			if d := allow(t, l, "other", 1); !d.Allowed {
				t.Error("another key is blocked")
			}
			c.advance(time.Minute)
			if d := allow(t, l, "k", 1); !d.Allowed || d.Remaining < 8 {
				t.Errorf("after the block: got %+v", d)
			}
			if err := l.Block(t.Context(), "k", time.Hour); err != nil {
				t.Fatal(err)
			}
			if d := allow(t, l, "k", 1); d.Allowed {
				t.Error("the second block does nothing")
			}
			if err := l.Reset(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			if d := allow(t, l, "k", 1); !d.Allowed || d.Remaining != 9 {
				t.Errorf("after Reset: got %+v", d)
			}
			if err := l.Block(t.Context(), "k", 0); err == nil {
				t.Error("a block for 0 is accepted")
			}
		}
	})
	l := limiter(t, nil, redis_rate.PerHour(1), ratelimit.WithEngine(panicking{}))
	if err := l.Block(t.Context(), "k", time.Minute); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with an engine: got %v", err)
	}
}

// A block beside a bound on what runs at once: the places are left alone.
func TestBlockBesideConcurrency(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.Limit{}, ratelimit.WithLimits(named("g", redis_rate.PerHour(10)), ratelimit.Concurrency(2)))
	if err := l.Block(t.Context(), "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := allow(t, l, "k", 1); d.Allowed {
		t.Error("not blocked")
	}
	if err := l.Reset(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if d := allow(t, l, "k", 1); !d.Allowed {
		t.Errorf("after a reset: %+v", d)
	}
}
