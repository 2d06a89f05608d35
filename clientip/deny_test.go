package clientip_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/redishttp/redishttp/clientip"
)

func TestDeny(t *testing.T) {
	resolver, err := clientip.New(clientip.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bad, err := resolver.Within(netip.MustParsePrefix("192.0.2.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, tc := range []struct {
		denied func(*http.Request) bool
		remote string
		want   int
	}{{bad, "192.0.2.7:1", 403}, {bad, "198.51.100.7:1", 204}, {nil, "192.0.2.7:1", 204}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.remote
		w := httptest.NewRecorder()
		clientip.Deny(next, tc.denied).ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s: got %d, want %d", tc.remote, w.Code, tc.want)
		}
		if got := w.Header().Get("Content-Type"); tc.want == 403 && (got != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: got %v", tc.remote, w.Header())
		}
	}
}
