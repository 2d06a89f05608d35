package ratelimit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func TestHeadersOfSeveralPolicies(t *testing.T) {
	c := newClock()
	h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.Limit{}, ratelimit.WithClock(c.now), ratelimit.WithLimits(
		named("burst", redis_rate.PerSecond(10)), named("daily", redis_rate.Limit{Rate: 2, Burst: 2, Period: 24 * time.Hour}), ratelimit.Window(50, time.Minute), ratelimit.Concurrency(4),
	)).Handler(ok)
	w := request(h, http.MethodGet)
	if got, want := w.Header().Get("RateLimit-Policy"), `"burst";q=10;w=1, "daily";q=2;w=86400, "50-in-60s";q=50;w=60, "4-at-once";q=4;qu="concurrent-requests"`; got != want {
		t.Errorf("policy:\n got %s\nwant %s", got, want)
	}
	if got, want := w.Header().Get("RateLimit"), `"burst";r=9;t=1, "daily";r=1;t=43200, "50-in-60s";r=49;t=61, "4-at-once";r=3`; got != want {
		t.Errorf("limit:\n got %s\nwant %s", got, want)
	}
	request(h, http.MethodGet)
	w = request(h, http.MethodGet)
	var p struct {
		Violated []string `json:"violated-policies"`
		Type     string   `json:"type"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 429 || !reflect.DeepEqual(p.Violated, []string{"daily"}) || !strings.HasSuffix(p.Type, "#quota-exceeded") || w.Header().Get("Retry-After") != "43200" {
		t.Errorf("refused: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestHeaderModes(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for name, tc := range map[string]struct {
		headers ratelimit.Headers
		want    string
	}{
		"always": {ratelimit.Headers{}, "[1 1 1 1 1 1]"}, "near the limit": {ratelimit.Headers{NearLimit: true}, "[0 0 0 1 1 1]"},
		"off": {ratelimit.Headers{Off: true}, "[0 0 0 0 0 0]"},
	} {
		h := limiter(t, rdb, redis_rate.PerHour(5), ratelimit.WithHeaders(tc.headers)).Handler(ok)
		var sent []int
		for i := range 6 {
			w := request(h, http.MethodGet)
			sent = append(sent, len(w.Header().Values("RateLimit")))
			if i == 5 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: a refusal without Retry-After", name)
			}
		}
		if got := fmt.Sprint(sent); got != tc.want {
			t.Errorf("%s: headers on %v, want %v", name, got, tc.want)
		}
	}
}

func TestLegacyHeaders(t *testing.T) {
	c := newClock()
	for epoch, reset := range map[bool]string{false: "720", true: strconv.FormatInt(c.now().Unix()+720, 10)} {
		h := limiter(t, redistest.Standalone(t).Client(t), redis_rate.PerHour(5), ratelimit.WithHeaders(ratelimit.Headers{Legacy: !epoch, LegacyEpoch: epoch}), ratelimit.WithClock(c.now)).Handler(ok)
		w := request(h, http.MethodGet)
		got := fmt.Sprint(w.Header().Get("X-RateLimit-Limit"), w.Header().Get("X-RateLimit-Remaining"), w.Header().Get("X-RateLimit-Reset"))
		if want := "54" + reset; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The key is not sent: without the secret all addresses can be tried.
func TestPartitionKey(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	pk := func(secret, addr string) string {
		h := limiter(t, rdb, redis_rate.PerHour(5), ratelimit.WithHeaders(ratelimit.Headers{PartitionKey: []byte(secret)})).Handler(ok)
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		_, policy, _ := strings.Cut(w.Header().Get("RateLimit-Policy"), ";pk=:")
		_, limit, _ := strings.Cut(w.Header().Get("RateLimit"), ";pk=:")
		if policy != limit || len(policy) != 17 || !strings.HasSuffix(policy, ":") {
			t.Errorf("pk is %q and %q", policy, limit)
		}
		return policy
	}
	a := pk("0123456789abcdef", "1.2.3.4:5")
	if a == pk("another secret!!", "1.2.3.4:5") || a == pk("0123456789abcdef", "1.2.3.5:5") || a != pk("0123456789abcdef", "1.2.3.4:6") {
		t.Error("pk does not depend on secret and client alone")
	}
}

// Closed answers 503 with the draft's type, and tells no numbers.
func TestReducedCapacity(t *testing.T) {
	s := redistest.NewServer(t)
	h := limiter(t, s.Client(t), redis_rate.PerHour(5), ratelimit.WithFailureMode(ratelimit.FailClosed)).Handler(ok)
	s.Kill()
	w := request(h, http.MethodGet)
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 503 || !strings.Contains("12", w.Header().Get("Retry-After")) || w.Header().Get("RateLimit") != "" || fmt.Sprintf("%v %v", p["violated-policies"], p["title"]) != "[] Temporary Reduced Capacity" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestMistakesInLimitsAndHeadersAreReported(t *testing.T) {
	_, err := ratelimit.New(redistest.Standalone(t).Client(t), redis_rate.PerHour(1),
		ratelimit.WithLimits(named("a b", redis_rate.PerHour(1)), named("x", redis_rate.Limit{}), named("x", redis_rate.PerHour(1)), named("x", redis_rate.PerHour(2)), ratelimit.Concurrency(1), ratelimit.Concurrency(2)),
		ratelimit.WithLocalLimits(2, 1), ratelimit.WithDenyCache(-1, 0), ratelimit.WithDelay(-1, 0), ratelimit.WithHeaders(ratelimit.Headers{Off: true, NearLimit: true, PartitionKey: []byte("short")}), ratelimit.WithEngine(panicking{}))
	for _, want := range []string{"name does not match", "rate 0", `two limits are named "x"`, "concurrency", "WithLocalLimits", "WithDenyCache", "WithDelay", "NearLimit", "PartitionKey", "WithEngine"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if _, err := ratelimit.New(redistest.Standalone(t).Client(t), redis_rate.Limit{}); err == nil {
		t.Error("no limit at all is accepted")
	}
}
