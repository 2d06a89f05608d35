package ratelimit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func request(h http.Handler, method string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
	return w
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	d, found := ratelimit.FromContext(r.Context())
	fmt.Fprint(w, found, d.Allowed)
})

func TestHeadersAndProblem(t *testing.T) {
	c := newClock()
	h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerMinute(2), ratelimit.WithClock(c.now)).Handler(ok)
	w := request(h, http.MethodGet)
	if got, want := fmt.Sprint(w.Code, w.Body, w.Header()["Ratelimit-Policy"], w.Header()["Ratelimit"]), `200 true true ["2-per-60s";q=2;w=60] ["2-per-60s";r=1;t=30]`; got != want {
		t.Errorf("admitted:\n got %s\nwant %s", got, want)
	}
	request(h, http.MethodGet)
	c.advance(10 * time.Second)
	w = request(h, http.MethodGet)
	if got, want := fmt.Sprintf("%v %v %v %v %v", w.Code, w.Header()["Ratelimit"], w.Header().Get("Retry-After"), w.Header().Get("Cache-Control"), w.Header().Get("Content-Type")), `429 ["2-per-60s";r=0;t=20] 20 no-store application/problem+json`; got != want {
		t.Errorf("refused:\n got %s\nwant %s", got, want)
	}
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || fmt.Sprintf("%v %v %v", p["violated-policies"], p["status"], p["title"]) != "[2-per-60s] 429 Quota Exceeded" {
		t.Errorf("problem: %s, %v", w.Body, err)
	}
	if w = request(h, http.MethodHead); w.Code != 429 || w.Body.Len() != 0 {
		t.Errorf("HEAD: got %d with %d bytes, want 429 without a body", w.Code, w.Body.Len())
	}
}

func TestPolicyField(t *testing.T) {
	cases := map[string]redis_rate.Limit{
		`"5-per-500ms";q=10;w=1`:                    {Rate: 5, Burst: 5, Period: 500 * time.Millisecond},
		`"5-per-1.5s";q=5`:                          {Rate: 5, Burst: 5, Period: 1500 * time.Millisecond},
		`"10-per-1s-burst-20";q=10;w=1;rl-burst=20`: {Rate: 10, Burst: 20, Period: time.Second},
		`"7-per-86400s";q=7;w=86400`:                {Rate: 7, Burst: 7, Period: 24 * time.Hour},
	}
	for want, limit := range cases {
		w := request(limiter(t, redistest.Standalone(t).Client(t), limit).Handler(ok), http.MethodGet)
		if got := w.Header().Get("RateLimit-Policy"); got != want {
			t.Errorf("%v: got %s, want %s", limit, got, want)
		}
	}
}

func TestStackedLimitersAddUp(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := limiter(t, rdb, redis_rate.PerSecond(10)).Handler(limiter(t, rdb, redis_rate.PerHour(2)).Handler(ok))
	w := request(h, http.MethodGet)
	if got := w.Header().Values("RateLimit-Policy"); len(got) != 2 {
		t.Errorf("policies: got %v, want both", got)
	}
	request(h, http.MethodGet)
	if w = request(h, http.MethodGet); w.Code != 429 || !strings.Contains(w.Body.String(), "2-per-3600s") {
		t.Errorf("got %d %s, want a refusal by the inner policy", w.Code, w.Body)
	}
}

func TestOutageResponses(t *testing.T) {
	cases := map[ratelimit.FailureMode]int{ratelimit.FailLocal: 200, ratelimit.FailOpen: 200, ratelimit.FailClosed: 503}
	for policy, status := range cases {
		s := redistest.NewServer(t)
		h := limiter(t, s.Client(t), redis_rate.PerMinute(10), ratelimit.WithFailureMode(policy)).Handler(ok)
		s.Kill()
		for range 9 {
			w := request(h, http.MethodGet)
			if w.Code != status || strings.Contains(w.Body.String(), "refused") || strings.Contains(w.Body.String(), "redis") {
				t.Fatalf("policy %d: got %d %q, want %d and no word of the cause", policy, w.Code, w.Body, status)
			}
			if counted := w.Header().Get("RateLimit") != ""; counted != (policy == ratelimit.FailLocal) {
				t.Errorf("policy %d: RateLimit %q", policy, w.Header().Get("RateLimit"))
			}
			if policy == ratelimit.FailClosed && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "temporary-reduced-capacity")) {
				t.Errorf("closed: %v %s", w.Header(), w.Body)
			}
		}
	}
}

func TestKeyErrorsAreNeverUnlimited(t *testing.T) {
	for _, key := range []ratelimit.KeyFunc{
		func(*http.Request) (string, error) { return "", nil },
		func(*http.Request) (string, error) { return "k", errors.New("secret detail") },
	} {
		h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerMinute(10), ratelimit.WithKey(key)).Handler(ok)
		if w := request(h, http.MethodGet); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("got %d %s, want a bare 500", w.Code, w.Body)
		}
	}
}

func TestDenyHandler(t *testing.T) {
	h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(1), ratelimit.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := ratelimit.FromContext(r.Context())
		w.WriteHeader(420)
		fmt.Fprint(w, d.Policy)
	}))).Handler(ok)
	request(h, http.MethodGet)
	if w := request(h, http.MethodGet); w.Code != 420 || w.Body.String() != "1-per-3600s" || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
	}
}
