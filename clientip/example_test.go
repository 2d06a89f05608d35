package clientip_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/redishttp/redishttp/clientip"
)

func Example() {
	resolver, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "192.0.2.1, 203.0.113.5") // the client wrote the first
	addr, ok := resolver.Addr(r)
	fmt.Println(addr, ok)
	// Output: 203.0.113.5 true
}

// The header holds one address, which the proxy sets.
func ExampleConfig_single() {
	resolver, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, // in production the networks of the CDN
		Header:         "CF-Connecting-IP",
		Single:         true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("CF-Connecting-IP", "2001:db8:1:2:3:4:5:6")
	fmt.Println(resolver.Prefix(r))
	// Output: 2001:db8:1:2::/64
}

func ExampleNew_mistakes() {
	_, err := clientip.New(clientip.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, V6Bits: 129})
	fmt.Println(err)
	// Output:
	// clientip: V6Bits: 129 bits are not within 1 and 128
	// clientip: TrustedProxies: 0.0.0.0/0 trusts every peer: set TrustAll if you mean that
}

func ExampleResolver_Within() {
	resolver, err := clientip.New(clientip.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	office, err := resolver.Within(netip.MustParsePrefix("192.0.2.0/24"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.9:4711"
	fmt.Println(office(r))
	// Output: true
}

func ExamplePeer() {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "[::ffff:203.0.113.5]:4711"
	r.Header.Set("X-Forwarded-For", "192.0.2.1") // does not count
	fmt.Println(clientip.Peer(r))
	// Output: 203.0.113.5
}
