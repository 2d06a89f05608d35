package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/redishttp/redishttp/clientip"
	"github.com/redishttp/redishttp/ratelimit"
)

// The keys of addresses are part of what is stored: counters live on.
func TestKeysOfAddresses(t *testing.T) {
	resolver, err := clientip.New(clientip.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, V4Bits: 24, V6Bits: 48})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ remote, header, direct, resolved string }{
		{"203.0.113.5:1", "", "203.0.113.5/32", "203.0.113.0/24"},
		{"[::ffff:203.0.113.5]:1", "", "203.0.113.5/32", "203.0.113.0/24"},
		{"[2001:db8:1:2::3]:1", "", "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"10.0.0.1:1", "192.0.2.7", "10.0.0.1/32", "192.0.2.0/24"},
		{"@", "192.0.2.7", "unix", "unix"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.remote
		if tc.header != "" {
			r.Header.Set("X-Forwarded-For", tc.header)
		}
		for name, key := range map[string]struct {
			of   ratelimit.KeyFunc
			want string
		}{
			"RemoteAddr": {ratelimit.ByIP(nil), tc.direct},
			"ByIP":       {ratelimit.ByIP(resolver), tc.resolved},
			"ByIP(nil)":  {ratelimit.ByIP(nil), tc.direct},
		} {
			if got, err := key.of(r); got != key.want || err != nil {
				t.Errorf("%s of %s: got %q, %v, want %q", name, tc.remote, got, err, key.want)
			}
		}
	}
}
