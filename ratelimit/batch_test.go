package ratelimit_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// crowd asks n times at once.
func crowd(t *testing.T, l *ratelimit.Limiter, n int) ([]ratelimit.Decision, []error) {
	t.Helper()
	decisions, errs := make([]ratelimit.Decision, n), make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			decisions[i], errs[i] = l.Allow(t.Context(), "k")
		})
	}
	close(start)
	wg.Wait()
	return decisions, errs
}

// Many requests for one key share calls, and each gets the decision that it would have
// got one after the other.
func TestManyRequestsShareCalls(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, size := range []int{0, 1000} {
			rdb := g.Client(t)
			c := newClock()
			l := limiter(t, rdb, redis_rate.Limit{Rate: 7, Burst: 300, Period: time.Minute}, ratelimit.WithClock(c.now), ratelimit.WithDenyCache(size, time.Second), ratelimit.WithTimeout(patience))
			for i := range 8 {
				allow(t, l, fmt.Sprint("warm", i), 1)
			}
			count := redistest.Count(rdb)
			decisions, errs := crowd(t, l, 400)
			var left []int
			for i, d := range decisions {
				switch {
				case errs[i] != nil:
					t.Fatal(errs[i])
				case d.Allowed && (d.RetryAfter != 0 || d.ResetAfter <= 0):
					t.Errorf("admitted: %+v", d)
				case d.Allowed:
					left = append(left, d.Remaining)
				case d.Remaining != 0 || d.RetryAfter <= 0 || d.RetryAfter > 9*time.Second:
					t.Errorf("refused: %+v", d)
				}
			}
			slices.Sort(left)
			for i, n := range left {
				if n != i {
					t.Fatalf("the remaining counts of the admitted are not 0 to 299, each once: %v", left)
				}
			}
			if len(left) != 300 {
				t.Errorf("%d admitted, want 300", len(left))
			}
			if got := count.Trips(); got > 300 {
				t.Errorf("400 requests at once took %d calls", got)
			} else {
				t.Logf("400 requests at once took %d calls", got)
			}
		}
	})
}

// A server that hangs holds a crowd no longer than twice the timeout, and what
// it executes afterwards is charged once.
func TestManyRequestsOnAHungServer(t *testing.T) {
	s := redistest.NewServer(t)
	prefix := redistest.Prefix(t)
	l := limiter(t, s.Client(t), redis_rate.PerHour(1000), ratelimit.WithKeyPrefix(prefix))
	allow(t, l, "k", 1)
	s.Pause()
	start := time.Now()
	decisions, errs := crowd(t, l, 200)
	if took := time.Since(start); took > 600*time.Millisecond {
		t.Errorf("held for %v", took)
	}
	for i, d := range decisions {
		if errs[i] == nil || !d.Allowed || d.Source != "local" {
			t.Fatalf("got %+v, %v, want a local decision", d, errs[i])
		}
	}
	s.Resume()
	direct := limiter(t, s.Client(t), redis_rate.PerHour(1000), ratelimit.WithKeyPrefix(prefix))
	redistest.Eventually(t, patience, func() bool { _, err := direct.AllowN(t.Context(), "k", 0); return err == nil }, "not back")
	if d := allow(t, direct, "k", 0); d.Remaining > 999 || d.Remaining < 1000-201 {
		t.Errorf("%d remaining after 201 requests: charged more than once", d.Remaining)
	}
}

// Few requests for a key do not wait for one another.
func TestFewRequestsDoNotWait(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerHour(1000))
	allow(t, l, "k", 1)
	count := redistest.Count(rdb)
	for range 20 {
		crowd(t, l, 8)
	}
	if got := count.Trips(); got != 160 {
		t.Errorf("160 requests, 8 at a time, took %d calls, want one each", got)
	}
}
