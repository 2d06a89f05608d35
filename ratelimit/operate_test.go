package ratelimit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// Block and Reset do what they say, or say why not.
func TestBlockAndResetWithLimitsByRequest(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		tiers := map[string][]ratelimit.Limit{
			"free": {named("tier", redis_rate.PerHour(1))},
			"paid": {named("tier", redis_rate.PerHour(5)), named("route", redis_rate.PerHour(5))},
		}
		byTier := ratelimit.WithLimitsFunc(func(r *http.Request) []ratelimit.Limit { return tiers[r.Header.Get("X-Tier")] })
		key := "192.0.2.1/32"
		ask := func(l *ratelimit.Limiter, tier string) int {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("X-Tier", tier)
			l.Handler(served).ServeHTTP(w, r)
			return w.Code
		}
		for name, limit := range map[string]redis_rate.Limit{"no other limit": {}, "a limit that requests do not use": redis_rate.PerHour(100)} {
			l := limiter(t, g.Client(t), limit, byTier)
			if err := l.Block(t.Context(), key, time.Minute); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: Block returned %v", name, err)
			}
			if err := l.Reset(t.Context(), key); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: Reset returned %v", name, err)
			}
			_, e1 := l.AllowN(t.Context(), key, 0)
			_, e2 := l.Charge(t.Context(), key, 1)
			_, e3 := l.AllowN(t.Context(), key, -1)
			_, e4 := l.Allow(t.Context(), key)
			_, leave, e5 := l.Enter(t.Context(), key, 1)
			leave()
			for i, err := range []error{e1, e2, e3, e4, e5} {
				if !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("%s: method %d of Peek, Charge, Refund, Allow, Enter: got %v", name, i, err)
				}
			}
			if got := l.Keys(key); len(got) != 0 {
				t.Errorf("%s: keys that no request uses: %q", name, got)
			}
			if got := ask(l, "free"); got != 200 {
				t.Fatalf("%s: got %d", name, got)
			}
			if err := l.Block(t.Context(), key, time.Minute, tiers["free"]...); err != nil {
				t.Fatal(err)
			}
			for tier := range tiers {
				if got := ask(l, tier); got != 429 {
					t.Errorf("%s: %s is blocked and got %d", name, tier, got)
				}
			}
			if err := l.Reset(t.Context(), key, tiers["free"]...); err != nil {
				t.Fatal(err)
			}
			for tier := range tiers { // at once, where it is made
				if got := ask(l, tier); tier == "free" && got == 429 && ask(l, "paid") == 200 {
					continue // the other tier was first and took the one that is allowed
				} else if got != 200 {
					t.Errorf("%s: %s is reset and got %d", name, tier, got)
				}
			}
			if err := l.Block(t.Context(), key, time.Minute); err == nil {
				t.Errorf("%s: nothing is blocked, without an error", name)
			}
		}
		// A limit that all requests have is blocked for all.
		l := limiter(t, g.Client(t), redis_rate.Limit{}, byTier, ratelimit.WithLimits(named("all", redis_rate.PerHour(100))))
		if err := l.Block(t.Context(), key, time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, tier := range []string{"free", "paid", "none"} {
			if got := ask(l, tier); got != 429 {
				t.Errorf("all are blocked, and %q got %d", tier, got)
			}
		}
		if err := l.Reset(t.Context(), key, named("all", redis_rate.PerHour(100))); err != nil {
			t.Fatal(err)
		}
		if got := ask(l, "none"); got != 200 {
			t.Errorf("after a reset: got %d", got)
		}
	})
}

// A limiter of nothing but what runs at once.
func TestConcurrencyAlone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, c := g.Client(t), newClock()
		prefix := redistest.Prefix(t)
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Concurrency(2)), ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))
		enter := func() (bool, func()) {
			t.Helper()
			d, leave, err := l.Enter(t.Context(), "k", 1)
			if err != nil {
				t.Fatal(err)
			}
			return d.Allowed, leave
		}
		_, leave := enter()
		if err := l.Block(t.Context(), "k", time.Minute); err != nil {
			t.Fatal(err)
		}
		if d, _, err := l.Enter(t.Context(), "k", 0); err != nil || d.Allowed || d.RetryAfter != time.Minute || d.Remaining != 0 {
			t.Errorf("blocked: got %+v, %v", d, err)
		}
		for _, key := range keys(t, g, prefix) {
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 59*time.Second || ttl > 2*time.Minute {
				t.Errorf("the block lives for %v", ttl)
			}
		}
		leave() // of one that ran: the block stays
		if ok, _ := enter(); ok {
			t.Error("a place that becomes free ends the block")
		}
		c.advance(time.Minute)
		for i := range 3 {
			if ok, _ := enter(); ok != (i < 2) {
				t.Errorf("after the block, request %d: allowed %v", i, ok)
			}
		}
		if d, err := l.AllowN(t.Context(), "k", 0); err != nil || d.Remaining != 0 {
			t.Errorf("Peek: got %+v, %v", d, err)
		}
		if err := l.Block(t.Context(), "k", time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if ok, leave := enter(); !ok {
			t.Error("after Reset: refused")
		} else {
			leave()
		}
		// There is nothing to charge: each says so instead of admitting all.
		_, e1 := l.Allow(t.Context(), "k")
		_, e2 := l.Charge(t.Context(), "k", 1)
		_, e3 := l.AllowN(t.Context(), "k", -1)
		_, e4 := l.AllowN(t.Context(), "k", 1, ratelimit.Concurrency(2))
		for i, err := range []error{e1, e2, e3, e4} {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("method %d of Allow, Charge, Refund: got %v", i, err)
			}
		}
		h := l.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if l.ChargeLater(r, 5) {
				t.Error("ChargeLater says that it charges")
			}
		}))
		request(h, http.MethodGet)
	})
}

// A block beside a bucket refuses a place also to a request that costs nothing.
func TestABlockRefusesWhatCostsNothing(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(10), ratelimit.WithLimits(ratelimit.Concurrency(2)))
	if err := l.Block(t.Context(), "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, cost := range []int{0, 1} {
		if d, _, err := l.Enter(t.Context(), "k", cost); err != nil || d.Allowed || d.RetryAfter < 59*time.Second {
			t.Errorf("cost %d: got %+v, %v", cost, d, err)
		}
	}
}

func TestChargesBelowZero(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(10))
	allow(t, l, "k", 5)
	if _, err := l.Charge(t.Context(), "k", -5); err == nil {
		t.Error("a charge of -5 gives back")
	}
	if err := l.Refund(t.Context(), "k", ratelimit.Decision{}, -1); err == nil {
		t.Error("a refund of -1 charges")
	}
	if d := allow(t, l, "k", 0); d.Remaining != 5 {
		t.Errorf("%d remaining, want 5", d.Remaining)
	}
	// What a request takes back is at most what it was charged.
	h := l.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { l.ChargeLater(r, -100) }))
	allow(t, l, "192.0.2.1/32", 5)
	request(h, http.MethodGet)
	if got := remaining(t, l); got != 5 {
		t.Errorf("%d remaining, want 5", got)
	}
}

// An engine refuses what does not fit; a charge takes what is left.
func TestChargesOfAnEngine(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, nil, redis_rate.PerHour(10), ratelimit.WithEngine(redis_rate.NewLimiter(rdb)))
	key := redistest.Prefix(t)
	for _, charge := range []int{4, 50, 1} {
		if d, err := l.Charge(t.Context(), key, charge); err != nil || !d.Allowed || d.RetryAfter != 0 {
			t.Errorf("got %+v, %v", d, err)
		}
	}
	if d, err := l.Allow(t.Context(), key); err != nil || d.Allowed {
		t.Errorf("then %+v, %v", d, err)
	}
}
