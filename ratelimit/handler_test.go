package ratelimit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

func TestOutageAnswers(t *testing.T) {
	cases := map[ratelimit.Policy]int{ratelimit.Local: 200, ratelimit.Open: 200, ratelimit.Closed: 503}
	for policy, status := range cases {
		s := redistest.NewServer(t)
		h := limiter(t, s.Client(t), redis_rate.PerMinute(10), ratelimit.WithOnUnavailable(policy)).Handler(ok)
		s.Kill()
		for range 9 {
			w := request(h, http.MethodGet)
			if w.Code != status || strings.Contains(w.Body.String(), "refused") || strings.Contains(w.Body.String(), "redis") {
				t.Fatalf("policy %d: got %d %q, want %d and no word of the cause", policy, w.Code, w.Body, status)
			}
			if counted := w.Header().Get("RateLimit") != ""; counted != (policy == ratelimit.Local) {
				t.Errorf("policy %d: RateLimit %q", policy, w.Header().Get("RateLimit"))
			}
			if policy == ratelimit.Closed && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "temporary-reduced-capacity")) {
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

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:192.168.0.0/112"), netip.MustParsePrefix("fd00::/8")}
	cases := []struct {
		name, remote, header string
		lines                []string
		ip                   ratelimit.IP
		want                 string
	}{
		{name: "no proxy trusted", remote: "1.2.3.4:5", lines: []string{"9.9.9.9"}, want: "1.2.3.4/32"},
		{name: "peer not trusted", remote: "1.2.3.4:5", lines: []string{"9.9.9.9"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "1.2.3.4/32"},
		{name: "one proxy", remote: "10.0.0.1:5", lines: []string{"9.9.9.9"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "forged left part", remote: "10.0.0.1:5", lines: []string{"6.6.6.6, 9.9.9.9"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "two proxies", remote: "10.0.0.1:5", lines: []string{"6.6.6.6, 9.9.9.9, 10.0.0.2"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "two lines", remote: "10.0.0.1:5", lines: []string{"6.6.6.6", "9.9.9.9, 10.0.0.2"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "all trusted", remote: "10.0.0.1:5", lines: []string{"10.0.0.3, 10.0.0.2"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.3/32"},
		{name: "unreadable entry stops the walk", remote: "10.0.0.1:5", lines: []string{"9.9.9.9, junk, 10.0.0.2"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.2/32"},
		{name: "unknown", remote: "10.0.0.1:5", lines: []string{"unknown"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "empty element", remote: "10.0.0.1:5", lines: []string{"9.9.9.9,, 10.0.0.2,"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "leading zeros", remote: "10.0.0.1:5", lines: []string{"9.9.9.9, 010.0.0.2"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "with port", remote: "10.0.0.1:5", lines: []string{"9.9.9.9:1234"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "port too high", remote: "10.0.0.1:5", lines: []string{"9.9.9.9:70000"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "unspecified", remote: "10.0.0.1:5", lines: []string{"0.0.0.0"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "IPv6 by /64", remote: "[2001:db8::1]:5", want: "2001:db8::/64"},
		{name: "IPv6 in brackets with port", remote: "[fd00::1]:5", lines: []string{"[2001:db8:1:2:3::4]:80"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "2001:db8:1:2::/64"},
		{name: "half a bracket", remote: "10.0.0.1:5", lines: []string{"[2001:db8::1"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "mapped is IPv4", remote: "[::ffff:1.2.3.4]:5", want: "1.2.3.4/32"},
		{name: "mapped proxy and client", remote: "[::ffff:192.168.0.9]:5", lines: []string{"::ffff:102:304"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "1.2.3.4/32"},
		{name: "zone", remote: "[fe80::1%eth0]:5", want: "fe80::/64"},
		{name: "single header", remote: "10.0.0.1:5", header: "CF-Connecting-IP", lines: []string{"9.9.9.9"}, ip: ratelimit.IP{TrustedProxies: trusted, Single: true}, want: "9.9.9.9/32"},
		{name: "single header twice", remote: "10.0.0.1:5", header: "CF-Connecting-IP", lines: []string{"9.9.9.9", "8.8.8.8"}, ip: ratelimit.IP{TrustedProxies: trusted, Single: true}, want: "10.0.0.1/32"},
		{name: "Forwarded", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, proto=https;For="[2001:db8::9]:1";by=x`}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "Forwarded hidden", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{"for=6.6.6.6, for=_hidden"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "unix socket", remote: "@", lines: []string{"9.9.9.9"}, ip: ratelimit.IP{TrustedProxies: trusted}, want: "unix"},
		{name: "unix socket trusted", remote: "@", lines: []string{"9.9.9.9"}, ip: ratelimit.IP{TrustUnixSocket: true}, want: "9.9.9.9/32"},
		{name: "other bits", remote: "1.2.3.4:5", ip: ratelimit.IP{V4Bits: 24}, want: "1.2.3.0/24"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			tc.ip.Header = tc.header
			key, err := ratelimit.ClientIP(tc.ip)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.remote
			if tc.header == "" {
				tc.header = "X-Forwarded-For"
			}
			for _, line := range tc.lines {
				r.Header.Add(tc.header, line)
			}
			if got, err := key(r); got != tc.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
			if r.RemoteAddr != tc.remote {
				t.Error("the request was changed")
			}
		})
	}
}

func TestClientIPMistakes(t *testing.T) {
	_, err := ratelimit.ClientIP(ratelimit.IP{V4Bits: 33, TrustedProxies: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	for _, want := range []string{"bits", "invalid", "0.0.0.0/0", "::/0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := ratelimit.ClientIP(ratelimit.IP{TrustAll: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::/0")}}); err != nil {
		t.Errorf("TrustAll: %v", err)
	}
}

// FuzzClientIP: there is always a key, and a peer that is not trusted cannot choose it.
func FuzzClientIP(f *testing.F) {
	f.Add("1.2.3.4:5", "9.9.9.9, 10.0.0.1", "for=1.1.1.1")
	f.Add("@", ",", `for="[::1]`)
	trusting, err := ratelimit.ClientIP(ratelimit.IP{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		f.Fatal(err)
	}
	forwarded, err := ratelimit.ClientIP(ratelimit.IP{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Header: "Forwarded"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, remote, xff, fwd string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {xff, xff}, "Forwarded": {fwd}}}
		bare := &http.Request{RemoteAddr: remote, Header: http.Header{}}
		for _, key := range []ratelimit.KeyFunc{trusting, forwarded} {
			got, err := key(r)
			if err != nil || got == "" {
				t.Fatalf("no key: %q, %v", got, err)
			}
			want, _ := key(bare)
			if !strings.HasPrefix(want, "10.") && got != want {
				t.Fatalf("the peer %q is not trusted, but its header makes the key %q", remote, got)
			}
		}
	})
}
