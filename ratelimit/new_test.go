package ratelimit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// New takes limits of its own package and of redis_rate, which count alike.
func TestNewAcceptsBothLimits(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := ratelimit.WithKeyPrefix(redistest.Prefix(t))
	own, err1 := ratelimit.New(rdb, ratelimit.PerMinute(5), prefix)
	theirs, err2 := ratelimit.New(rdb, redis_rate.PerMinute(5), prefix)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if _, err := own.AllowN(t.Context(), "k", 2); err != nil {
		t.Fatal(err)
	}
	if d, err := theirs.Allow(t.Context(), "k"); err != nil || d.Remaining != 2 || d.Policy != "5-per-60s" {
		t.Errorf("got %+v, %v, want 2 remaining of the same policy", d, err)
	}
}

func TestConstructorsOfLimits(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	search := ratelimit.PerSecond(10)
	search.Burst, search.Name = 20, "search"
	for name, tc := range map[string]struct {
		limit ratelimit.Limit
		want  redis_rate.Limit
	}{
		"10-per-1s":    {ratelimit.PerSecond(10), redis_rate.PerSecond(10)},
		"10-per-60s":   {ratelimit.PerMinute(10), redis_rate.PerMinute(10)},
		"10-per-3600s": {ratelimit.PerHour(10), redis_rate.PerHour(10)},
		"10-in-1800s":  {ratelimit.Window(10, 30*time.Minute), redis_rate.Limit{Rate: 10, Burst: 10, Period: 30 * time.Minute}},
		"search":       {search, redis_rate.Limit{Rate: 10, Burst: 20, Period: time.Second}},
	} {
		l, err := ratelimit.New(rdb, tc.limit, ratelimit.WithKeyPrefix(redistest.Prefix(t)))
		if err != nil {
			t.Fatal(err)
		}
		d, err := l.AllowN(t.Context(), "k", 0)
		if err != nil || d.Policy != name || d.Limit != tc.want || d.Remaining != tc.want.Burst {
			t.Errorf("got %+v, %v, want policy %s with %v", d, err, name, tc.want)
		}
	}
	l, err := ratelimit.New(rdb, ratelimit.Concurrency(1), ratelimit.WithKeyPrefix(redistest.Prefix(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, leave, err := l.Enter(t.Context(), "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	if d, _, _ := l.Enter(t.Context(), "k", 1); d.Allowed || d.Policy != "1-at-once" {
		t.Errorf("a second one: got %+v", d)
	}
	leave()
	if d, leave, _ := l.Enter(t.Context(), "k", 1); !d.Allowed {
		t.Errorf("after leave: got %+v", d)
	} else {
		leave()
	}
}

// WithName names the limit of New, unless it has a name of its own.
func TestNameOfNewsLimit(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	named := ratelimit.PerMinute(5)
	named.Name = "own"
	for want, limit := range map[string]ratelimit.Limit{"own": named, "given": ratelimit.PerMinute(5)} {
		l, err := ratelimit.New(rdb, limit, ratelimit.WithName("given"), ratelimit.WithKeyPrefix(redistest.Prefix(t)))
		if err != nil {
			t.Fatal(err)
		}
		if d, err := l.AllowN(t.Context(), "k", 0); err != nil || d.Policy != want {
			t.Errorf("got %q, %v, want %q", d.Policy, err, want)
		}
	}
}

// Every call that needs Redis says so in the same way when Redis is away, with
// a plain client too.
func TestErrUnavailable(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr()})
	t.Cleanup(func() { rdb.Close() })
	s.Kill()
	l, err := ratelimit.New(rdb, ratelimit.PerMinute(5), ratelimit.WithLimits(ratelimit.Concurrency(3)))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Allow":  func() error { _, err := l.Allow(t.Context(), "k"); return err },
		"AllowN": func() error { _, err := l.AllowN(t.Context(), "k", 2, ratelimit.PerHour(3)); return err },
		"Peek":   func() error { _, err := l.AllowN(t.Context(), "k", 0); return err },
		"Refund": func() error { _, err := l.AllowN(t.Context(), "k", -1); return err },
		"Charge": func() error { _, err := l.Charge(t.Context(), "k", 1); return err },
		"Enter":  func() error { _, leave, err := l.Enter(t.Context(), "k", 1); leave(); return err },
		"Block":  func() error { return l.Block(t.Context(), "k", time.Second) },
		"Reset":  func() error { return l.Reset(t.Context(), "k") },
	} {
		for range 8 { // also when the breaker is open and Redis is not called
			if err := call(); !errors.Is(err, ratelimit.ErrUnavailable) {
				t.Errorf("%s: got %v, want ErrUnavailable", name, err)
			}
		}
	}
}
