package ratelimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// flaky is a limiter whose Redis is behind a proxy, and one that reaches it
// directly.
func flaky(t *testing.T, limit redis_rate.Limit, opts ...ratelimit.Option) (l, direct *ratelimit.Limiter, p *redistest.Proxy) {
	t.Helper()
	s := redistest.NewServer(t)
	p = redistest.NewProxy(t, s.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = rdb.Close() })
	prefix := ratelimit.WithKeyPrefix(redistest.Prefix(t))
	l = limiter(t, rdb, limit, append(opts, prefix)...)
	direct = limiter(t, s.Client(t), limit, append(opts, prefix, ratelimit.WithHooks(ratelimit.Hooks{}), ratelimit.WithTimeout(patience))...)
	redistest.Eventually(t, patience, func() bool { _, err := l.AllowN(t.Context(), "warm", 0); return err == nil }, "not warm")
	return l, direct, p
}

// What was not charged in Redis is not given back there, whatever became
// of it until the handler returned.
func TestARefundGivesBackWhatWasCharged(t *testing.T) {
	for _, policy := range []ratelimit.FailureMode{ratelimit.FailLocal, ratelimit.FailOpen} {
		for _, later := range []int{0, 2, -7} {
			l, direct, p := flaky(t, redis_rate.PerHour(10), ratelimit.WithFailureMode(policy), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
			allow(t, direct, "192.0.2.1/32", 5)
			h := l.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if d, _ := ratelimit.FromContext(r.Context()); d.Source == "redis" {
					t.Error("decided by Redis")
				}
				p.Heal()
				redistest.Eventually(t, patience, func() bool { _, err := l.AllowN(t.Context(), "192.0.2.1/32", 0); return err == nil }, "not back")
				l.ChargeLater(r, later)
			}))
			p.Refuse()
			if got := request(h, http.MethodGet).Code; got != 200 {
				t.Fatalf("policy %d: got %d", policy, got)
			}
			want := 5 - max(later, 0) // what was used is charged in Redis
			if got := remaining(t, direct); got != want {
				t.Errorf("policy %d, %d charged later: %d remaining, want %d", policy, later, got, want)
			}
		}
	}
}

// Nor is given back here what Redis has charged: five requests before the
// outage end within it, and the limit of the instance holds.
func TestARefundDuringAnOutageAdmitsNoMore(t *testing.T) {
	l, direct, p := flaky(t, redis_rate.PerHour(3), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
	var admitted atomic.Int32
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.Refuse()
		for range 5 {
			if d, err := l.Allow(t.Context(), "192.0.2.1/32"); err != nil && d.Allowed {
				admitted.Add(1)
			}
		}
	}))
	if got := request(h, http.MethodGet).Code; got != 200 {
		t.Fatalf("got %d", got)
	}
	if _, err := l.AllowN(t.Context(), "192.0.2.1/32", -1); err == nil {
		t.Error("a refund without Redis is no error")
	}
	if d, _ := l.Allow(t.Context(), "192.0.2.1/32"); admitted.Load() != 3 || d.Allowed {
		t.Errorf("%d and then %+v admitted, want 3 and none", admitted.Load(), d)
	}
	if got := remaining(t, direct); got != 2 {
		t.Errorf("%d remaining in Redis, want 2: the refund was lost", got)
	}
}

func TestRefund(t *testing.T) {
	l, direct, p := flaky(t, redis_rate.PerHour(3))
	give := func(d ratelimit.Decision, n int) {
		t.Helper()
		if err := l.Refund(t.Context(), "k", d, n); err != nil {
			t.Fatal(err)
		}
	}
	inRedis := func(want int) {
		t.Helper()
		if d := allow(t, direct, "k", 0); d.Remaining != want {
			t.Errorf("%d remaining in Redis, want %d", d.Remaining, want)
		}
	}
	first := allow(t, l, "k", 2)
	refused := allow(t, l, "k", 2)
	give(refused, 2)
	inRedis(1)
	give(first, 2)
	inRedis(3)
	allow(t, l, "k", 3)
	give(allow(t, l, "k", 1), 1) // from the deny cache
	inRedis(0)

	p.Refuse()
	local := func() ratelimit.Decision {
		d, err := l.Allow(t.Context(), "k")
		if err == nil || d.Source != "local" {
			t.Fatalf("got %+v, %v", d, err)
		}
		return d
	}
	l.Reset(t.Context(), "k")
	for range 10 { // each is given back here
		d := local()
		if !d.Allowed {
			t.Fatalf("refused: %+v", d)
		}
		give(d, 1)
	}
	charged := local()
	p.Heal()
	redistest.Eventually(t, patience, func() bool { _, err := l.AllowN(t.Context(), "k", 0); return err == nil }, "not back")
	give(charged, 1)
	inRedis(0)
}

// In shadow mode what was refused was not charged.
func TestARefundInShadow(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(1), ratelimit.WithShadow(true), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
	allow(t, l, "192.0.2.1/32", 1)
	for range 5 {
		if got := request(l.Handler(served), http.MethodGet).Code; got != 200 {
			t.Fatalf("got %d", got)
		}
	}
	if got := remaining(t, l); got != 0 {
		t.Errorf("%d remaining, want 0", got)
	}
}

// A charge without Redis drains the bucket of the instance at most, and never
// charges nothing.
func TestALocalChargeIsForced(t *testing.T) {
	l, _, p := flaky(t, redis_rate.PerHour(10))
	p.Refuse()
	if d, err := l.Charge(t.Context(), "k", 50); err == nil || !d.Allowed || d.Remaining != 0 || d.Source != "local" {
		t.Errorf("got %+v, %v, want an empty bucket and an error", d, err)
	}
	if d, _ := l.Allow(t.Context(), "k"); d.Allowed {
		t.Errorf("then %+v", d)
	}
}

// Requests that share a call whose reply is lost are each counted here, and none
// of them gives back in Redis.
func TestRefundsOfManyRequests(t *testing.T) {
	l, direct, p := flaky(t, redis_rate.PerHour(1000), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
	arrived := make(chan struct{}, 60)
	healed := make(chan struct{})
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-healed
	}))
	allow(t, direct, "192.0.2.1/32", 100)
	p.Refuse()
	done := make(chan int, 60)
	for range cap(done) {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
			done <- w.Code
		}()
	}
	for range cap(done) {
		<-arrived
	}
	p.Heal()
	redistest.Eventually(t, patience, func() bool { _, err := l.AllowN(t.Context(), "192.0.2.1/32", 0); return err == nil }, "not back")
	close(healed)
	for range cap(done) {
		<-done
	}
	if got := remaining(t, direct); got != 900 {
		t.Errorf("%d remaining in Redis, want 900", got)
	}
}
