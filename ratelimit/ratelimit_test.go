package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

const patience = 20 * time.Second

func limiter(t testing.TB, rdb ratelimit.Client, limit redis_rate.Limit, opts ...ratelimit.Option) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(rdb, limit, append([]ratelimit.Option{ratelimit.WithKeyPrefix(redistest.Prefix(t))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// clock is moved by hand.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(1_790_812_800_123_456)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()) }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

func allow(t *testing.T, l *ratelimit.Limiter, key string, n int) ratelimit.Decision {
	t.Helper()
	d, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCountsDown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, limit := range []redis_rate.Limit{redis_rate.PerSecond(10), {Rate: 7, Burst: 7, Period: time.Minute}, redis_rate.PerHour(3), {Rate: 5, Burst: 20, Period: 500 * time.Millisecond}} {
			c := newClock()
			l := limiter(t, g.Client(t), limit, ratelimit.WithClock(c.now))
			for want := limit.Burst - 1; want >= 0; want-- {
				if d := allow(t, l, "k", 1); !d.Allowed || d.Remaining != want || d.RetryAfter != 0 || d.Source != "redis" {
					t.Fatalf("%v: got %+v, want %d remaining", limit, d, want)
				}
			}
			d := allow(t, l, "k", 1)
			if d.Allowed || d.RetryAfter <= 0 || d.Remaining != 0 {
				t.Fatalf("%v: over the limit: got %+v", limit, d)
			}
			c.advance(d.RetryAfter - time.Microsecond)
			if d := allow(t, l, "k", 1); d.Allowed {
				t.Errorf("%v: admitted before the time that was named", limit)
			}
			c.advance(time.Microsecond)
			if d := allow(t, l, "k", 1); !d.Allowed {
				t.Errorf("%v: not admitted at the time that was named: %+v", limit, d)
			}
		}
	})
}

// More than 100,000 operations against exact rationals, 24,000 in a short run, with the deny cache and
// without, and through the script for several policies as well.
func TestModel(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	runs, ops := 24, 1_000
	if redistest.IsLong() {
		ops = 4_200
	}
	var wg sync.WaitGroup
	for run := range runs {
		wg.Go(func() { model(t, rdb, run, ops) })
	}
	wg.Wait()
}

func model(t *testing.T, rdb redis.UniversalClient, run, ops int) {
	limit := redis_rate.Limit{Rate: 1 + rand.IntN(1000), Burst: 1 + rand.IntN(50), Period: time.Duration(1+rand.IntN(100_000)) * time.Millisecond}
	c := newClock()
	opts := []ratelimit.Option{ratelimit.WithClock(c.now), ratelimit.WithTimeout(patience)}
	if run%2 == 1 {
		opts = append(opts, ratelimit.WithDenyCache(0, 0))
	}
	if run%3 == 0 { // a second policy that never refuses
		opts = append(opts, ratelimit.WithLimits(ratelimit.Limit{Limit: redis_rate.Limit{Rate: 1 << 30, Burst: 1 << 30, Period: time.Second}, Name: "wide"}))
	}
	l := limiter(t, rdb, limit, opts...)
	tokens := func(us int64) *big.Rat { // what drains in so many microseconds
		return new(big.Rat).Mul(big.NewRat(us, 1), big.NewRat(int64(limit.Rate), limit.Period.Microseconds()))
	}
	burst, debt := big.NewRat(int64(limit.Burst), 1), new(big.Rat)
	for op := range ops {
		step := rand.Int64N(limit.Period.Microseconds()/int64(limit.Rate)*2 + 2)
		c.us.Add(step)
		if debt.Sub(debt, tokens(step)); debt.Sign() < 0 {
			debt.SetInt64(0)
		}
		cost := rand.IntN(limit.Burst+3) - 1
		after := new(big.Rat).Add(debt, big.NewRat(int64(cost), 1))
		want := cost <= 0 || after.Cmp(burst) <= 0
		if want {
			if debt = after; debt.Sign() < 0 {
				debt.SetInt64(0)
			}
		}
		left := new(big.Rat).Sub(burst, debt)
		remaining := int(new(big.Int).Div(left.Num(), left.Denom()).Int64())
		d, err := l.AllowN(t.Context(), "k", cost)
		if err != nil {
			t.Errorf("run %d, operation %d: %v", run, op, err)
			return
		}
		state := d.Policies()[0]
		if d.Allowed != want || state.Remaining != remaining {
			t.Errorf("%v, run %d, operation %d, cost %d (%v): got allowed %v remaining %d, want %v %d", limit, run, op, cost, d.Source, d.Allowed, state.Remaining, want, remaining)
			return
		}
		if never := cost > limit.Burst; !want && never != (state.RetryAfter == -1) {
			t.Errorf("%v, run %d: cost %d refused with RetryAfter %v", limit, run, cost, state.RetryAfter)
			return
		}
	}
}

func TestConcurrentRequestsGetExactlyTheBurst(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for range 2 { // two instances of the service
			l, err := ratelimit.New(g.Client(t), redis_rate.PerHour(50), ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(patience))
			if err != nil {
				t.Fatal(err)
			}
			for range 100 {
				wg.Go(func() {
					d, err := l.Allow(t.Context(), "k")
					if err != nil {
						t.Error(err)
					}
					if d.Allowed {
						admitted.Add(1)
					}
				})
			}
		}
		wg.Wait()
		if got := admitted.Load(); got != 50 {
			t.Errorf("admitted: got %d, want 50", got)
		}
	})
}

func TestRefundsClocksAndChangedLimits(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	c := newClock()
	prefix := redistest.Prefix(t)
	with := func(limit redis_rate.Limit) *ratelimit.Limiter {
		l, err := ratelimit.New(rdb, limit, ratelimit.WithKeyPrefix(prefix), ratelimit.WithName("fixed"), ratelimit.WithClock(c.now))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := with(redis_rate.PerMinute(5))
	if d := allow(t, l, "k", 6); d.Allowed || d.RetryAfter != -1 {
		t.Errorf("cost above the burst: got %+v, want Never", d)
	}
	allow(t, l, "k", 3)
	if d := allow(t, l, "k", -1); d.Remaining != 3 {
		t.Errorf("refund of 1: %d remaining, want 3", d.Remaining)
	}
	if d := allow(t, l, "k", -100); d.Remaining != 5 {
		t.Errorf("refund above full: %d remaining, want 5", d.Remaining)
	}
	if keys, _ := rdb.Keys(t.Context(), prefix+"*").Result(); len(keys) != 0 {
		t.Errorf("a full bucket has a key: %v", keys)
	}

	allow(t, l, "back", 5)
	c.advance(-time.Hour)
	if d := allow(t, l, "back", 1); d.Allowed || d.RetryAfter > time.Minute {
		t.Errorf("clock one hour back: got %+v, want a wait of at most the period", d)
	}
	c.advance(12 * time.Second)
	if d := allow(t, l, "back", 1); !d.Allowed {
		t.Errorf("12s later: got %+v, want admitted", d)
	}

	hourly := with(redis_rate.PerHour(1))
	allow(t, hourly, "raised", 1)
	if d := allow(t, with(redis_rate.PerSecond(100)), "raised", 1); !d.Allowed || d.Remaining != 98 {
		t.Errorf("raised from 1/h to 100/s: got %+v, want admitted with 98 left", d)
	}
}

func TestForeignValuesAreHealed(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	l, err := ratelimit.New(rdb, redis_rate.PerMinute(5), ratelimit.WithKeyPrefix(prefix))
	if err != nil {
		t.Fatal(err)
	}
	allow(t, l, "k", 1)
	keys, _ := rdb.Keys(t.Context(), prefix+"*").Result()
	if len(keys) != 1 {
		t.Fatalf("keys: got %v, want one", keys)
	}
	if ttl := rdb.PTTL(t.Context(), keys[0]).Val(); ttl <= 0 || ttl > 12*time.Second {
		t.Errorf("TTL: got %v, want up to 12s", ttl)
	}
	for _, junk := range []string{"", "junk", "1:2", "1:2:0", "-1:2:3", "99999999999999999999:1:1", "\x00"} {
		rdb.Set(t.Context(), keys[0], junk, time.Minute)
		if d, err := l.Allow(t.Context(), "k"); err != nil || d.Source != "redis" {
			t.Errorf("%q stored: got %+v, %v", junk, d, err)
		}
	}
	rdb.Del(t.Context(), keys[0])
	rdb.LPush(t.Context(), keys[0], "x")
	if d, err := l.Allow(t.Context(), "k"); err != nil || !d.Allowed {
		t.Errorf("a list stored: got %+v, %v", d, err)
	}
}

// Refusals that still hold cost nothing.
func TestOneRoundTripOrNone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, cached := range []bool{true, false} {
			opts := []ratelimit.Option{}
			want := "5 map[evalsha:5]"
			if !cached {
				opts, want = append(opts, ratelimit.WithDenyCache(0, 0)), "10 map[evalsha:10]"
			}
			rdb := g.Client(t)
			l := limiter(t, rdb, redis_rate.PerHour(5), opts...)
			for i := range 10 { // every node of a cluster learns the script
				allow(t, l, fmt.Sprint("warm", i), 1)
			}
			count := redistest.Count(rdb)
			for range 10 {
				allow(t, l, "k", 1)
			}
			if got := fmt.Sprint(count.Trips(), count.Commands()); got != want {
				t.Errorf("5 admitted, 5 refused, deny cache %v: %s, want %s", cached, got, want)
			}
		}
	})
}

func TestALostReplyIsChargedOnce(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	for name, opts := range map[string]*redis.Options{
		"deadlines honoured": {Addr: p.Addr(), ContextTimeoutEnabled: true},
		"go-redis' defaults": {Addr: p.Addr()}, // retries three times, ignores deadlines
	} {
		t.Run(name, func(t *testing.T) {
			p.Heal()
			rdb := redis.NewClient(opts)
			defer rdb.Close()
			prefix := redistest.Prefix(t)
			l := limiter(t, rdb, redis_rate.PerHour(10), ratelimit.WithKeyPrefix(prefix))
			direct := limiter(t, s.Client(t), redis_rate.PerHour(10), ratelimit.WithKeyPrefix(prefix))
			redistest.Eventually(t, patience, func() bool { d, err := l.AllowN(t.Context(), "k", 0); return err == nil && d.Remaining == 10 }, "not warm")
			p.SwallowReplies()
			start := time.Now()
			d, err := l.Allow(t.Context(), "k")
			if took := time.Since(start); err == nil || !d.Allowed || d.Source != "local" || took > time.Second {
				t.Errorf("lost reply: got %+v, %v after %v, want a local decision within the timeout", d, err, took)
			}
			redistest.Eventually(t, patience, func() bool { d, _ := direct.AllowN(t.Context(), "k", 0); return d.Remaining == 9 }, "not charged once")
			p.CloseConns()
			p.Heal()
			redistest.Eventually(t, patience, func() bool { d, err := l.AllowN(t.Context(), "k", 0); return err == nil && d.Remaining == 9 }, "charged again")
		})
	}
}

func TestOutage(t *testing.T) {
	for _, policy := range []ratelimit.FailureMode{ratelimit.FailLocal, ratelimit.FailOpen, ratelimit.FailClosed} {
		s := redistest.NewServer(t)
		l := limiter(t, s.Client(t), redis_rate.PerHour(3), ratelimit.WithFailureMode(policy))
		allow(t, l, "k", 1)
		s.Kill()
		for i := range 20 {
			start := time.Now()
			d, err := l.Allow(t.Context(), "k")
			if err == nil {
				t.Fatal("down: no error")
			}
			want := policy == ratelimit.FailOpen || policy == ratelimit.FailLocal && i < 3
			if d.Allowed != want || d.Unavailable != (policy == ratelimit.FailClosed) {
				t.Errorf("policy %d, request %d: got %+v, want allowed %v", policy, i, d, want)
			}
			if took := time.Since(start); i > 5 && took > 50*time.Millisecond {
				t.Errorf("policy %d: request %d still waits %v for a Redis known to be down", policy, i, took)
			}
		}
		s.Restart(t)
		back := time.Now()
		redistest.Eventually(t, patience, func() bool { _, err := l.Allow(t.Context(), "k"); return err == nil }, "not back")
		if took := time.Since(back); took > 3*time.Second {
			t.Errorf("back after %v, want about a second", took)
		}
	}
}

func TestAClientThatHangsUpIsNoFailureOfRedis(t *testing.T) {
	var failed atomic.Int32
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(100), ratelimit.WithHooks(ratelimit.Hooks{
		Failed: func(context.Context, error) { failed.Add(1) },
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if d, err := l.Allow(ctx, "k"); err != nil || d.Source != "redis" {
			t.Fatalf("got %+v, %v, want a count in Redis", d, err)
		}
	}
	if failed.Load() != 0 {
		t.Errorf("counted as %d failures", failed.Load())
	}
}

func TestLocalTableIsBounded(t *testing.T) {
	s := redistest.NewServer(t)
	l := limiter(t, s.Client(t), redis_rate.PerHour(1), ratelimit.WithLocalLimits(1, 10))
	s.Kill()
	refused := 0
	for i := range 100 {
		if d, _ := l.Allow(t.Context(), fmt.Sprint(i)); !d.Allowed {
			refused++
		}
	}
	if refused != 89 { // ten of their own, one for all others together
		t.Errorf("refused: got %d, want 89", refused)
	}
}

type panicking struct{}

func (panicking) AllowN(context.Context, string, redis_rate.Limit, int) (*redis_rate.Result, error) {
	panic("interface conversion")
}

func TestEngine(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, nil, redis_rate.PerHour(3), ratelimit.WithEngine(redis_rate.NewLimiter(rdb)))
	key := redistest.Prefix(t)
	for i := range 5 {
		d, err := l.Allow(t.Context(), key)
		if err != nil || d.Allowed != (i < 3) || d.Source != "engine" {
			t.Errorf("request %d: got %+v, %v", i, d, err)
		}
	}
	if n := rdb.Exists(t.Context(), "rate:"+key).Val(); n != 1 {
		t.Error("redis_rate's own key is not used")
	}
	l = limiter(t, nil, redis_rate.PerHour(3), ratelimit.WithEngine(panicking{}))
	if d, err := l.Allow(t.Context(), key); err == nil || !d.Allowed {
		t.Errorf("a panicking engine: got %+v, %v, want a local decision", d, err)
	}
	if err := l.Reset(t.Context(), key); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Reset with an engine: got %v", err)
	}
}

func TestReset(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		l := limiter(t, g.Client(t), redis_rate.PerHour(1))
		allow(t, l, "k", 1)
		if d := allow(t, l, "k", 1); d.Allowed {
			t.Fatal("not limited")
		}
		if err := l.Reset(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if d := allow(t, l, "k", 1); !d.Allowed {
			t.Error("after Reset: refused")
		}
	})
}
