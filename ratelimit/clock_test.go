package ratelimit_test

import (
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// A refusal that is remembered does not outlive a clock that steps back, or
// ahead: after the step it is as if Redis had been called.
func TestTheDenyCacheAcrossAStepOfTheClock(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, step := range []time.Duration{-time.Hour, -time.Minute, -2 * time.Second, time.Hour} {
		c := newClock()
		l := limiter(t, rdb, redis_rate.PerMinute(5), ratelimit.WithClock(c.now))
		h := l.Handler(served)
		for i := range 7 {
			if d := allow(t, l, "k", 1); d.Allowed != (i < 5) {
				t.Fatalf("request %d: %+v", i, d)
			}
			request(h, "GET")
		}
		c.advance(step)
		if d := allow(t, l, "k", 1); d.Allowed != (step > 0) || d.Source != "redis" || !d.Allowed && d.RetryAfter > 12*time.Second {
			t.Errorf("step of %v: got %+v (%v), want what Redis says", step, d, d.Source)
		}
		if got := request(h, "GET").Code; (got == 200) != (step > 0) {
			t.Errorf("step of %v, through the handler: got %d", step, got)
		}
		c.advance(12 * time.Second)
		if d := allow(t, l, "k", 1); !d.Allowed {
			t.Errorf("step of %v, 12s later: %+v", step, d)
		}
		if got := request(h, "GET").Code; got != 200 {
			t.Errorf("step of %v, 12s later, through the handler: got %d", step, got)
		}
	}
}

// Nor does what is counted without Redis.
func TestTheLocalTableAcrossAStepOfTheClock(t *testing.T) {
	s := redistest.NewServer(t)
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		c := newClock()
		l := limiter(t, s.Client(t), redis_rate.PerMinute(5), ratelimit.WithClock(c.now))
		s.Kill()
		local := func() ratelimit.Decision {
			d, err := l.Allow(t.Context(), "k")
			if err == nil || d.Source != "local" {
				t.Fatalf("got %+v, %v, want a local decision", d, err)
			}
			return d
		}
		for range 5 {
			local()
		}
		c.advance(step)
		if d := local(); d.Allowed != (step > 0) {
			t.Errorf("step of %v: got %+v", step, d)
		}
		c.advance(12 * time.Second)
		if d := local(); !d.Allowed {
			t.Errorf("step of %v, 12s later: %+v", step, d)
		}
	}
}

// Nor a place whose process died, nor a block.
func TestPlacesAndBlocksAcrossAStepOfTheClock(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := newClock()
		l := limiter(t, g.Client(t), redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Concurrency(1)), ratelimit.WithClock(c.now))
		if d, _, err := l.Enter(t.Context(), "k", 1); err != nil || !d.Allowed { // never left
			t.Fatalf("got %+v, %v", d, err)
		}
		c.advance(-time.Hour)
		if d, _, _ := l.Enter(t.Context(), "k", 1); d.Allowed {
			t.Error("the place is free before its lease is over")
		}
		c.advance(31 * time.Second)
		if d, _, _ := l.Enter(t.Context(), "k", 1); !d.Allowed {
			t.Error("the place is not free after its lease")
		}

		for _, limits := range [][]ratelimit.Limit{
			{named("g", redis_rate.PerHour(10))}, {named("g", redis_rate.PerHour(10)), named("other", redis_rate.PerHour(10))}, {ratelimit.Window(10, time.Hour)},
		} {
			l = limiter(t, g.Client(t), redis_rate.Limit{}, ratelimit.WithLimits(limits...), ratelimit.WithClock(c.now))
			if err := l.Block(t.Context(), "k", time.Minute); err != nil {
				t.Fatal(err)
			}
			if d := allow(t, l, "k", 1); d.Allowed || d.RetryAfter != time.Minute {
				t.Errorf("blocked for a minute: got %+v", d)
			}
			c.advance(-time.Hour)
			if d := allow(t, l, "k", 1); d.Allowed || d.RetryAfter > time.Minute {
				t.Errorf("blocked for a minute: got %+v", d)
			}
			c.advance(time.Minute)
			if d := allow(t, l, "k", 1); !d.Allowed {
				t.Errorf("a minute later: %+v", d)
			}
		}
	})
}

// A window keeps what it counted, and forgets it a window later.
func TestAWindowAcrossAStepOfTheClock(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, step := range []time.Duration{-time.Second, -30 * time.Second, -time.Hour} {
		c := newClock()
		l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Window(3, time.Minute)), ratelimit.WithClock(c.now), ratelimit.WithTimeout(patience))
		for range 3 {
			c.advance(5 * time.Second)
			allow(t, l, "k", 1)
		}
		c.advance(step)
		if d := allow(t, l, "k", 1); d.Allowed || d.RetryAfter > 61*time.Second {
			t.Errorf("step of %v: got %+v, want refused for a window at most", step, d)
		}
		c.advance(61 * time.Second)
		if d := allow(t, l, "k", 1); !d.Allowed {
			t.Errorf("step of %v, a window later: %+v", step, d)
		}
	}
}
