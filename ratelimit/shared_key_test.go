package ratelimit_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// noLimits has all limits come with the call.
var noLimits = ratelimit.WithLimitsFunc(func(*http.Request) []ratelimit.Limit { return nil })

// Sets of limits by request share the policies that both name, also a set of one.
func TestSetsOfLimitsShareTheirPolicies(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		l := limiter(t, g.Client(t), redis_rate.Limit{}, noLimits, ratelimit.WithTimeout(patience))
		for _, all := range []ratelimit.Limit{named("all", redis_rate.PerHour(5)), ratelimit.Window(5, time.Hour)} {
			search := named("search", redis_rate.PerHour(100))
			for i := range 6 {
				limits := []ratelimit.Limit{all}
				if i%2 == 1 {
					limits = append(limits, search)
				}
				d, err := l.Allow(t.Context(), all.Name, limits...)
				if err != nil || d.Allowed != (i < 5) || d.Policies()[0].Remaining != max(4-i, 0) {
					t.Errorf("request %d: got %+v, %v", i, d, err)
				}
			}
			if d, err := l.AllowN(t.Context(), all.Name, 0, search); err != nil || d.Remaining != 98 {
				t.Errorf("search: got %+v, %v, want 98 remaining: the last request was refused", d, err)
			}
		}
	})
}

// The key lives as long as the policy that needs it longest, whatever is charged last.
func TestTheKeyOfSeveralPoliciesIsNotShortened(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	second, hour := named("second", redis_rate.PerSecond(10)), ratelimit.Window(10, time.Hour)
	l := limiter(t, rdb, redis_rate.Limit{}, noLimits, ratelimit.WithLimits(second, hour), ratelimit.WithTimeout(patience))
	key := l.Keys("k")[0]
	for i, limits := range [][]ratelimit.Limit{{second}, {second, hour}, {second}, {second, named("minute", redis_rate.PerMinute(10))}} {
		if d, err := l.Allow(t.Context(), "k", limits...); err != nil || !d.Allowed {
			t.Fatalf("got %+v, %v", d, err)
		}
		ttl := rdb.PTTL(t.Context(), key).Val()
		if least, most := time.Hour, 69*time.Minute; i > 0 && (ttl < least || ttl > most) {
			t.Errorf("request %d: the key lives for %v, want %v to %v", i, ttl, least, most)
		}
		if i == 0 && (ttl < 900*time.Millisecond || ttl > 1125*time.Millisecond) {
			t.Errorf("a bucket of a second alone: the key lives for %v", ttl)
		}
	}
}

// What is not of a limiter is an empty policy, and is replaced.
func TestForeignValuesUnderTheKeyOfSeveralPolicies(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, ctx := g.Client(t), t.Context()
		bucket, window, places := named("b", redis_rate.PerHour(3)), ratelimit.Window(3, time.Hour).Named("w"), ratelimit.Concurrency(3).Named("p")
		l := limiter(t, rdb, redis_rate.Limit{}, noLimits, ratelimit.WithLimits(bucket, window, places), ratelimit.WithTimeout(patience))
		key := l.Keys("k")[0]
		put := map[string]func(){
			"a string":       func() { rdb.Set(ctx, key, "foreign", time.Minute) },
			"without expiry": func() { rdb.Set(ctx, key, "foreign", 0) },
			"other fields": func() {
				rdb.HSet(ctx, key, "b", "w1:2:0:0", "w", "g1:1:1:1:0", "w|", "x:y,1:", "p", "c1:2:3:4", "p#", "many", "p|", "x")
			},
			"large numbers": func() {
				large := strings.Repeat("9", 400)
				rdb.HSet(ctx, key, "b", "g"+large+":1:1:1:0", "w", "w1:"+large+":0:0", "p", "c0:0:0", "p#", "-5")
			},
		}
		for name, foreign := range put {
			foreign()
			d, err := l.AllowN(ctx, "k", 1, bucket) // by cell_field.lua
			if err != nil || name != "large numbers" && (!d.Allowed || d.Remaining != 2) {
				t.Errorf("%s: a bucket: got %+v, %v", name, d, err)
			}
			foreign()
			d, leave, err := l.Enter(ctx, "k", 1)
			if err != nil || name != "large numbers" && (!d.Allowed || d.Policies()[1].Remaining != 2 || d.Policies()[2].Remaining != 2) {
				t.Errorf("%s: got %+v, %v", name, d, err)
			}
			leave()
			foreign()
			if err := l.Reset(ctx, "k", bucket, window, places); err != nil {
				t.Errorf("%s: reset: %v", name, err)
			}
			if d, leave, err := l.Enter(ctx, "k", 1); err != nil || !d.Allowed {
				t.Errorf("%s: after a reset: %+v, %v", name, d, err)
			} else {
				leave()
			}
			if ttl := rdb.PTTL(ctx, key).Val(); ttl <= 0 {
				t.Errorf("%s: the key lives for %v", name, ttl)
			}
			rdb.Del(ctx, key)
		}
	})
}

// A reset deletes the policies of its limiter, places included, and no others of the key.
func TestResetLeavesOtherPoliciesOfTheKey(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), ratelimit.WithKeyPrefix(redistest.Prefix(t))
	one := limiter(t, rdb, redis_rate.Limit{}, prefix, ratelimit.WithLimits(named("a", redis_rate.PerHour(5)), ratelimit.Concurrency(5).Named("p")), ratelimit.WithTimeout(patience))
	two := limiter(t, rdb, redis_rate.Limit{}, prefix, ratelimit.WithLimits(named("ab", redis_rate.PerHour(5)), ratelimit.Concurrency(5).Named("pq")), ratelimit.WithTimeout(patience))
	var leave []func()
	for _, l := range []*ratelimit.Limiter{one, two} {
		for range 2 {
			d, f, err := l.Enter(t.Context(), "k", 1)
			if err != nil || !d.Allowed {
				t.Fatalf("got %+v, %v", d, err)
			}
			leave = append(leave, f)
		}
	}
	if err := one.Reset(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	remaining := func(l *ratelimit.Limiter, want int) {
		t.Helper()
		for _, s := range allow(t, l, "k", 0).Policies() {
			if s.Remaining != want {
				t.Errorf("%s: %d remaining, want %d", s.Policy, s.Remaining, want)
			}
		}
	}
	remaining(one, 5)
	remaining(two, 3)
	for _, f := range leave { // those of the first are gone already
		f()
	}
	for i, l := range []*ratelimit.Limiter{one, two} {
		if got := allow(t, l, "k", 0).Policies()[1].Remaining; got != 5 {
			t.Errorf("limiter %d: %d places are free, want 5", i, got)
		}
	}
}

// Thousands of places of processes that died are free when their leases end.
func TestManyPlacesOfOneKey(t *testing.T) {
	const many = 2500
	c := newClock()
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerSecond(1_000_000), ratelimit.WithClock(c.now), ratelimit.WithTimeout(patience),
		ratelimit.WithLimits(ratelimit.Concurrency(many).Named("p")), ratelimit.WithLimits(ratelimit.Window(1_000_000, time.Hour)))
	for i := range many + 1 { // never left
		if d, _, err := l.Enter(t.Context(), "k", 1); err != nil || d.Allowed != (i < many) || d.Policies()[1].Remaining != max(many-1-i, 0) {
			t.Fatalf("request %d: got %+v, %v", i, d, err)
		}
	}
	c.advance(31 * time.Second)
	d, leave, err := l.Enter(t.Context(), "k", 1)
	if err != nil || !d.Allowed || d.Policies()[1].Remaining != many-1 {
		t.Errorf("after their leases: got %+v, %v", d, err)
	}
	leave()
	if d := allow(t, l, "k", 0); d.Policies()[1].Remaining != many {
		t.Errorf("after all of them: %+v", d)
	}
}

// Many requests for one bucket share calls in this form too, and are exact.
func TestAHotKeyWithLimitsByRequest(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		l := limiter(t, g.Client(t), redis_rate.Limit{}, noLimits, ratelimit.WithTimeout(patience), ratelimit.WithDenyCache(0, 0))
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for range 400 {
			wg.Go(func() {
				if d, err := l.Allow(t.Context(), "k", named("b", redis_rate.PerHour(150))); err != nil {
					t.Error(err)
				} else if d.Allowed {
					admitted.Add(1)
				}
			})
		}
		if wg.Wait(); admitted.Load() != 150 {
			t.Errorf("%d admitted, want 150", admitted.Load())
		}
	})
}
