package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func remaining(t *testing.T, l *ratelimit.Limiter) int {
	t.Helper()
	d, err := l.AllowN(t.Context(), "192.0.2.1/32", 0)
	if err != nil {
		t.Fatal(err)
	}
	return d.Remaining
}

func TestRefundsByOutcome(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, tc := range []struct {
		name   string
		refund func(int, *http.Request) int
		status int // 0 writes nothing, -1 panics
		cost   int // that stays charged, of 2
	}{
		{"successful", ratelimit.RefundStatus(100, 399), 200, 0},
		{"successful", ratelimit.RefundStatus(100, 399), 0, 0},
		{"successful", ratelimit.RefundStatus(100, 399), 304, 0},
		{"successful", ratelimit.RefundStatus(100, 399), 401, 2},
		{"successful", ratelimit.RefundStatus(100, 399), -1, 2},
		{"failed", ratelimit.RefundStatus(400, 599), 200, 2},
		{"failed", ratelimit.RefundStatus(400, 599), 500, 0},
		{"failed", ratelimit.RefundStatus(400, 599), -1, 0},
		{"part", func(int, *http.Request) int { return 1 }, 200, 1},
		{"too much", func(int, *http.Request) int { return 100 }, 200, 0},
		{"below 0", func(int, *http.Request) int { return -5 }, 200, 2},
	} {
		l := limiter(t, rdb, redis_rate.PerHour(10), ratelimit.WithRefund(tc.refund), ratelimit.WithCost(func(*http.Request) int { return 2 }))
		h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case tc.status > 0:
				w.WriteHeader(tc.status)
			case tc.status < 0:
				panic(http.ErrAbortHandler)
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		func() {
			defer func() {
				if p := recover(); (p != nil) != (tc.status < 0) {
					t.Errorf("%s %d: panic %v", tc.name, tc.status, p)
				}
			}()
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			cancel() // the client is gone before it is settled
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		if got := 10 - remaining(t, l); got != tc.cost {
			t.Errorf("%s, status %d: %d stay charged, want %d", tc.name, tc.status, got, tc.cost)
		}
	}
}

// Without a refund function the handler gets the writer as it is.
func TestTheWriterIsWrappedForRefundsOnly(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, refund := range []bool{false, true} {
		opts := []ratelimit.Option{}
		if refund {
			opts = append(opts, ratelimit.WithRefund(ratelimit.RefundStatus(400, 599)))
		}
		w := httptest.NewRecorder()
		limiter(t, rdb, redis_rate.PerHour(10), opts...).Handler(http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
			if (inner != http.ResponseWriter(w)) != refund {
				t.Errorf("refund %v: the handler got %T", refund, inner)
			}
			if err := http.NewResponseController(inner).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
		})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}
}

func TestChargeLater(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerHour(100), ratelimit.WithRefund(ratelimit.RefundStatus(400, 599)))
	inner := limiter(t, rdb, redis_rate.PerHour(50))
	status, later := 200, 30
	h := l.Handler(inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.ChargeLater(r, later-1) || !l.ChargeLater(r, 1) {
			t.Error("ChargeLater does not know the request")
		}
		w.WriteHeader(status)
	})))
	for _, tc := range []struct{ status, later, want int }{{200, 30, 69}, {500, 30, 39}, {200, 1000, 0}, {429, 0, 0}} {
		status, later = tc.status, tc.later
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != tc.status {
			t.Errorf("got %d, want %d", w.Code, tc.status)
		}
		if got := remaining(t, l); got != tc.want {
			t.Errorf("status %d, %d later: %d remaining, want %d", tc.status, tc.later, got, tc.want)
		}
	}
	if got := remaining(t, inner); got != 47 {
		t.Errorf("the limiter inside has %d remaining, want 47", got)
	}
	if l.ChargeLater(httptest.NewRequest("GET", "/", nil), 1) {
		t.Error("a request outside is charged")
	}
}

// During an outage what was charged here is given back here.
func TestLocalRefundsStayLocal(t *testing.T) {
	s := redistest.NewServer(t)
	l := limiter(t, s.Client(t), redis_rate.PerHour(2), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)))
	s.Kill()
	h := l.Handler(served)
	for i := range 10 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 200 {
			t.Fatalf("request %d: got %d, want 200: everything is refunded", i, w.Code)
		}
	}
}

func TestALimiterChargesOnce(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(10))
	w := httptest.NewRecorder()
	l.Handler(l.Handler(served)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got := remaining(t, l); got != 9 || len(w.Header().Values("RateLimit")) != 1 {
		t.Errorf("%d remaining, headers %v", got, w.Header())
	}
}

func TestConcurrency(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		l := limiter(t, g.Client(t), redis_rate.PerHour(1000), ratelimit.WithLimits(ratelimit.Concurrency(3)), ratelimit.WithTimeout(5*time.Second))
		var running, most, refused atomic.Int32
		release := make(chan struct{})
		h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			if r.URL.Path == "/panic" {
				panic(http.ErrAbortHandler)
			}
		}))
		var wg sync.WaitGroup
		ask := func(path string) {
			wg.Go(func() {
				defer func() { _ = recover() }()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if w.Code == 429 {
					refused.Add(1)
					if w.Header().Get("Retry-After") != "1" {
						t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
					}
				}
			})
		}
		for range 8 {
			ask("/panic")
		}
		redistest.Eventually(t, patience, func() bool { return running.Load() == 3 && refused.Load() == 5 }, "not 3 running and 5 refused: %d, %d", running.Load(), refused.Load())
		close(release)
		wg.Wait()
		if d := allow(t, l, "192.0.2.1/32", 0); d.Policies()[0].Remaining != 997 {
			t.Errorf("refused for their number, and yet charged: %+v", d)
		}
		// Panics have given their places back.
		for range 3 {
			ask("/")
		}
		wg.Wait()
		if refused.Load() != 5 || most.Load() != 3 {
			t.Errorf("refused %d, at most %d at a time", refused.Load(), most.Load())
		}
	})
}

// The place of a process that died is free when its lease has ended; that of
// one that lives is not.
func TestConcurrencyLeases(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	c := newClock()
	l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Concurrency(1)), ratelimit.WithClock(c.now), ratelimit.WithKeyPrefix(prefix))
	d, leave, err := l.Enter(t.Context(), "k", 1)
	if err != nil || !d.Allowed {
		t.Fatalf("got %+v, %v", d, err)
	}
	if d, _, _ := l.Enter(t.Context(), "k", 1); d.Allowed {
		t.Error("two at a time")
	}
	leave()
	d, _, err = l.Enter(t.Context(), "k", 1) // never left
	if err != nil || !d.Allowed {
		t.Errorf("after leaving: got %+v, %v", d, err)
	}
	c.advance(29 * time.Second)
	if d, _, _ := l.Enter(t.Context(), "k", 1); d.Allowed {
		t.Error("admitted while the lease runs")
	}
	c.advance(2 * time.Second)
	d, leave, err = l.Enter(t.Context(), "k", 1)
	if err != nil || !d.Allowed {
		t.Errorf("after the lease: got %+v, %v", d, err)
	}
	leave()
	if n := rdb.Keys(t.Context(), prefix+"*").Val(); len(n) != 0 {
		t.Errorf("left behind: %v", n)
	}
	// Without Redis places are counted here, and given back.
	s := redistest.NewServer(t)
	l = limiter(t, s.Client(t), redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Concurrency(1)))
	s.Kill()
	for range 3 {
		d, leave, _ := l.Enter(t.Context(), "k", 1)
		if d2, _, _ := l.Enter(t.Context(), "k", 1); !d.Allowed || d2.Allowed {
			t.Errorf("without redis: got %v, then %v, want one at a time", d.Allowed, d2.Allowed)
		}
		leave()
	}
}

func TestDelay(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.Limit{Rate: 20, Burst: 1, Period: time.Second}, ratelimit.WithDelay(2*time.Second, 3))
	h := l.Handler(served)
	var codes [8]int
	var wg sync.WaitGroup
	start := time.Now()
	for i := range codes {
		wg.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			codes[i] = w.Code
		})
	}
	wg.Wait()
	count := map[int]int{}
	for _, code := range codes {
		count[code]++
	}
	// One passes, three wait, the others find no place to wait in; but a place
	// that becomes free is entered by the next request.
	if count[200] < 4 || count[429] == 0 || count[200]+count[429] != 8 || time.Since(start) < 100*time.Millisecond {
		t.Errorf("got %v after %v, want at least four 200 after a while, and 429", count, time.Since(start))
	}
	l = limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithDelay(time.Second, 3))
	h = l.Handler(served)
	start = time.Now()
	for _, want := range []int{200, 429} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != want || time.Since(start) > 900*time.Millisecond {
			t.Errorf("an hour's wait: got %d after %v", w.Code, time.Since(start))
		}
	}
	// A client that hangs up while it waits is not answered, and not charged.
	l = limiter(t, rdb, redis_rate.Limit{Rate: 2, Burst: 1, Period: time.Second}, ratelimit.WithDelay(time.Second, 3))
	allow(t, l, "192.0.2.1/32", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") })).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	if len(w.Header()) != 0 {
		t.Errorf("answered: %v", w.Header())
	}
}

func TestShadowAndSkip(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	var refused atomic.Int32
	hooks := ratelimit.WithHooks(ratelimit.Hooks{Decided: func(_ context.Context, d ratelimit.Decision, _ time.Duration) {
		if !d.Allowed {
			refused.Add(1)
		}
	}})
	shadow := limiter(t, rdb, redis_rate.PerHour(1), ratelimit.WithShadow(true), hooks).Handler(served)
	for range 3 {
		w := httptest.NewRecorder()
		shadow.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 200 || w.Header().Get("RateLimit") != "" || w.Header().Get("Retry-After") != "" {
			t.Errorf("shadow: got %d %v", w.Code, w.Header())
		}
	}
	if refused.Load() != 2 {
		t.Errorf("the hook saw %d refusals, want 2", refused.Load())
	}
	h := limiter(t, rdb, redis_rate.PerHour(1),
		ratelimit.WithSkip(func(r *http.Request) bool { return r.Method == http.MethodOptions }),
	).Handler(served)
	h = clientip.Deny(h, func(r *http.Request) bool { return r.Method == http.MethodPut }) // before anything is counted
	for _, tc := range []struct {
		method string
		want   int
	}{{"OPTIONS", 200}, {"PUT", 403}, {"GET", 200}, {"GET", 429}, {"PUT", 403}, {"OPTIONS", 200}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tc.method, "/", nil))
		if w.Code != tc.want {
			t.Errorf("%s: got %d, want %d", tc.method, w.Code, tc.want)
		}
	}
}

func TestOutageHookAndLocalLimits(t *testing.T) {
	s := redistest.NewServer(t)
	var changes []bool
	l := limiter(t, s.Client(t), redis_rate.PerHour(100), ratelimit.WithLocalLimits(0.1, 1000), ratelimit.WithHooks(ratelimit.Hooks{
		Outage: func(_ context.Context, unavailable bool) { changes = append(changes, unavailable) },
	}))
	allow(t, l, "k", 1)
	s.Kill()
	admitted := 0
	for range 50 {
		if d, err := l.Allow(t.Context(), "k"); err == nil {
			t.Fatal("no error")
		} else if d.Allowed {
			admitted++
		}
	}
	if admitted != 10 {
		t.Errorf("a tenth of 100 admits %d", admitted)
	}
	s.Restart(t)
	redistest.Eventually(t, patience, func() bool { _, err := l.Allow(t.Context(), "k"); return err == nil }, "not back")
	if fmt.Sprint(changes) != "[true false]" {
		t.Errorf("the hook saw %v, want [true false]", changes)
	}
}

// Behind real net/http: what a handler and a client do through a wrapped writer.
func TestOverARealServer(t *testing.T) {
	l := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(100), ratelimit.WithRefund(ratelimit.RefundStatus(400, 599)))
	srv := httptest.NewServer(l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		_, _ = io.WriteString(w, "data: 2\n\n")
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if string(body) != "data: 1\n\ndata: 2\n\n" || err != nil || resp.Header.Get("RateLimit") != `"100-per-3600s";r=99;t=36` {
		t.Errorf("got %q, %v, %v", body, err, resp.Header)
	}
}

var errKey = errors.New("no key")

func TestKeyFallback(t *testing.T) {
	h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(1), ratelimit.WithKey(func(r *http.Request) (string, error) {
		if k := r.Header.Get("X-Api-Key"); k != "" {
			return ratelimit.Join("api", k), nil
		}
		return "", errKey
	}, ratelimit.ByIP(nil))).Handler(served)
	for _, tc := range []struct {
		key  string
		want int
	}{{"a", 200}, {"a", 429}, {"", 200}, {"", 429}, {"b", 200}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Api-Key", tc.key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("key %q: got %d, want %d", tc.key, w.Code, tc.want)
		}
	}
	if ratelimit.Join("a:b", "c") == ratelimit.Join("a", "b:c") || ratelimit.Join("", "a") == ratelimit.Join("a", "") || ratelimit.Join("1:a") == ratelimit.Join("a") {
		t.Error("Join makes one key of different parts")
	}
}
