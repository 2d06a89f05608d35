package clientip_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/redishttp/redishttp/clientip"
)

// Addr says whether the address is the client's own.
func TestAddr(t *testing.T) {
	config := clientip.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, NAT64: true}
	for name, tc := range map[string]struct {
		remote, header string
		unix           bool // trusted
		want           string
		ok             bool
	}{
		"no proxy":                 {remote: "203.0.113.5:1", want: "203.0.113.5", ok: true},
		"forged":                   {remote: "203.0.113.5:1", header: "192.0.2.1", want: "203.0.113.5", ok: true},
		"behind a proxy":           {remote: "10.0.0.1:1", header: "192.0.2.1", want: "192.0.2.1", ok: true},
		"the proxy itself":         {remote: "10.0.0.1:1", want: "10.0.0.1", ok: true},
		"unreadable":               {remote: "10.0.0.1:1", header: "192.0.2.1, junk", want: "10.0.0.1"},
		"IPv6 is whole":            {remote: "[2001:db8::1%eth0]:1", want: "2001:db8::1", ok: true},
		"NAT64":                    {remote: "10.0.0.1:1", header: "64:ff9b::192.0.2.33", want: "192.0.2.33", ok: true},
		"unix socket":              {remote: "@", header: "192.0.2.1", want: "invalid IP"},
		"trusted unix socket":      {remote: "@", header: "192.0.2.1", unix: true, want: "192.0.2.1", ok: true},
		"trusted, without headers": {remote: "@", unix: true, want: "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config
			c.TrustUnixSocket = tc.unix
			resolver, err := clientip.New(c)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.remote
			if tc.header != "" {
				r.Header.Set("X-Forwarded-For", tc.header)
			}
			if addr, ok := resolver.Addr(r); addr.String() != tc.want || ok != tc.ok {
				t.Errorf("got %v, %t, want %v, %t", addr, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestTrusts(t *testing.T) {
	resolver, err := clientip.New(clientip.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, TrustUnixSocket: true})
	if err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]bool{
		"10.0.0.1:1": true, "[::ffff:10.0.0.1]:1": true, "203.0.113.5:1": false, "@": true, "": true,
		"10.0.0.1, 203.0.113.5": false, // what a middleware may have copied from a header
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		if got := resolver.Trusts(r); got != want {
			t.Errorf("%q: got %t, want %t", remote, got, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "@"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{})))
	if resolver.Trusts(r) {
		t.Error("a TCP connection without an address is trusted as a unix socket")
	}
}

// A change of the networks that were given to New changes nothing.
func TestNewCopiesNetworks(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	resolver, err := clientip.New(clientip.Config{TrustedProxies: networks})
	if err != nil {
		t.Fatal(err)
	}
	networks[0] = netip.MustParsePrefix("203.0.113.0/24")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "203.0.113.5:1"
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if addr, _ := resolver.Addr(r); addr.String() != "203.0.113.5" {
		t.Errorf("got %v, want the peer", addr)
	}
}

func BenchmarkPrefix(b *testing.B) {
	for name, header := range map[string]string{"X-Forwarded-For": "192.0.2.1, 203.0.113.5, 10.0.0.2", "Forwarded": `for=192.0.2.1, for=203.0.113.5;proto=https, for="10.0.0.2"`} {
		b.Run(name, func(b *testing.B) {
			resolver, err := clientip.New(clientip.Config{Header: name, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
			if err != nil {
				b.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set(name, header)
			b.ReportAllocs()
			for b.Loop() {
				if !resolver.Prefix(r).IsValid() {
					b.Fatal("no prefix")
				}
			}
		})
	}
}
