package clientip_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/clientip"
)

// keyOf returns what identifies the client by a configuration: its prefix, or
// "none".
func keyOf(t testing.TB, c clientip.Config) func(*http.Request) string {
	t.Helper()
	resolver, err := clientip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) string {
		if p := resolver.Prefix(r); p.IsValid() {
			return p.String()
		}
		return "none"
	}
}

func TestPrefix(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:192.168.0.0/112"), netip.MustParsePrefix("fd00::/8")}
	cases := []struct {
		name, remote, header string
		lines                []string
		ip                   clientip.Config
		want                 string
	}{
		{name: "no proxy trusted", remote: "1.2.3.4:5", lines: []string{"9.9.9.9"}, want: "1.2.3.4/32"},
		{name: "peer not trusted", remote: "1.2.3.4:5", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted}, want: "1.2.3.4/32"},
		{name: "one proxy", remote: "10.0.0.1:5", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "forged left part", remote: "10.0.0.1:5", lines: []string{"6.6.6.6, 9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "two proxies", remote: "10.0.0.1:5", lines: []string{"6.6.6.6, 9.9.9.9, 10.0.0.2"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "two lines", remote: "10.0.0.1:5", lines: []string{"6.6.6.6", "9.9.9.9, 10.0.0.2"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "all trusted", remote: "10.0.0.1:5", lines: []string{"10.0.0.3, 10.0.0.2"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.3/32"},
		{name: "unreadable entry stops the walk", remote: "10.0.0.1:5", lines: []string{"9.9.9.9, junk, 10.0.0.2"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.2/32"},
		{name: "unknown", remote: "10.0.0.1:5", lines: []string{"unknown"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "empty element", remote: "10.0.0.1:5", lines: []string{"9.9.9.9,, 10.0.0.2,"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "leading zeros", remote: "10.0.0.1:5", lines: []string{"9.9.9.9, 010.0.0.2"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "with port", remote: "10.0.0.1:5", lines: []string{"9.9.9.9:1234"}, ip: clientip.Config{TrustedProxies: trusted}, want: "9.9.9.9/32"},
		{name: "port too high", remote: "10.0.0.1:5", lines: []string{"9.9.9.9:70000"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "unspecified", remote: "10.0.0.1:5", lines: []string{"0.0.0.0"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "IPv6 by /64", remote: "[2001:db8::1]:5", want: "2001:db8::/64"},
		{name: "IPv6 in brackets with port", remote: "[fd00::1]:5", lines: []string{"[2001:db8:1:2:3::4]:80"}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8:1:2::/64"},
		{name: "half a bracket", remote: "10.0.0.1:5", lines: []string{"[2001:db8::1"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "mapped is IPv4", remote: "[::ffff:1.2.3.4]:5", want: "1.2.3.4/32"},
		{name: "mapped proxy and client", remote: "[::ffff:192.168.0.9]:5", lines: []string{"::ffff:102:304"}, ip: clientip.Config{TrustedProxies: trusted}, want: "1.2.3.4/32"},
		{name: "zone", remote: "[fe80::1%eth0]:5", want: "fe80::/64"},
		{name: "single header", remote: "10.0.0.1:5", header: "CF-Connecting-IP", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "9.9.9.9/32"},
		{name: "single header twice", remote: "10.0.0.1:5", header: "CF-Connecting-IP", lines: []string{"9.9.9.9", "8.8.8.8"}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "10.0.0.1/32"},
		{name: "Forwarded", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, proto=https;For="[2001:db8::9]:1";by=x`}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "Forwarded hidden", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{"for=6.6.6.6, for=_hidden"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		// RFC 7239 by its grammar: proxies copy the client's Host into a quoted string.
		{name: "Forwarded, an element inside quotes", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host="a,for=6.6.6.6;b"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, a pair inside quotes", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`host="a;for=6.6.6.6;b";for=203.0.113.5`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, escaped quotes", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host="a\",for=6.6.6.6;b=\"";proto=https`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, escaped backslash at the end", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host="a\\"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, escaped address", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="203.\0.113.5"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, a quote on the left is never closed", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`host="a, for=203.0.113.5;host="a,for=6.6.6.6;b"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, a quote on the line before is never closed", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="6.6.6.6`, `for=203.0.113.5`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, a quote on the right is never opened", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host=a"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, a quote in the middle of a value", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host="a="b,for=6.6.6.6"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, two for", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, for=203.0.113.5;For=6.6.6.6`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, two by", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;by=a;By=b`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, no for", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, proto=https`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, walk over proxies", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6`, `for=203.0.113.5;host="x,y" , for=10.0.0.9;by="[fd00::1]:443"`, `, for="10.0.0.2:80" ,`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, unreadable between proxies", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, for=unknown, for=10.0.0.2`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.2/32"},
		{name: "Forwarded, empty pairs and white space", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{";; FOR=203.0.113.5 ;\tproto=http; "}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, white space around =", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for = 203.0.113.5`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, port", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="203.0.113.5:47011"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, obfuscated port", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="203.0.113.5:_a.b-c"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, port too high", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="203.0.113.5:65536"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, port outside quotes", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5:80`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, zone and port", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="[2001:db8::9%eth0]:80"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "Forwarded, zone", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="[2001:db8::9%25eth0]"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "Forwarded, IPv6 unquoted", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=[2001:db8::9]`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, IPv6 without brackets", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="2001:db8::9"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, IPv4 in brackets", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="[203.0.113.5]"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, mapped", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for="[::ffff:cb00:7105]"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "Forwarded, leading zeros", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.05`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, control character", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{"for=203.0.113.5;host=\"a\x01\""}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "Forwarded, single", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=203.0.113.5;host="a,for=6.6.6.6;b"`}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "203.0.113.5/32"},
		{name: "Forwarded, single, its address is a proxy's", remote: "10.0.0.1:5", header: "forwarded", lines: []string{`for=10.0.0.7`}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "10.0.0.7/32"},
		{name: "Forwarded, single with two elements", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6, for=203.0.113.5`}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "10.0.0.1/32"},
		{name: "Forwarded, single on two lines", remote: "10.0.0.1:5", header: "Forwarded", lines: []string{`for=6.6.6.6`, `for=203.0.113.5`}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "10.0.0.1/32"},
		// The others by the same care.
		{name: "zone and port", remote: "10.0.0.1:5", lines: []string{"[2001:db8::9%eth0]:80"}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "zone", remote: "10.0.0.1:5", lines: []string{"2001:db8::9%eth0"}, ip: clientip.Config{TrustedProxies: trusted}, want: "2001:db8::/64"},
		{name: "zone with a bracket", remote: "10.0.0.1:5", lines: []string{"2001:db8::9%a]:80"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "mapped with port", remote: "10.0.0.1:5", lines: []string{"[::ffff:203.0.113.5]:80"}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "mapped with leading zeros", remote: "10.0.0.1:5", lines: []string{"::ffff:203.0.113.05"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "IPv4 in brackets", remote: "10.0.0.1:5", lines: []string{"[203.0.113.5]:80"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "empty port", remote: "10.0.0.1:5", lines: []string{"203.0.113.5:"}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "quotes in X-Forwarded-For", remote: "10.0.0.1:5", lines: []string{`"6.6.6.6"`}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "garbage on the left", remote: "10.0.0.1:5", lines: []string{"\x00, \"[, 203.0.113.5"}, ip: clientip.Config{TrustedProxies: trusted}, want: "203.0.113.5/32"},
		{name: "more than 64 proxies", remote: "10.0.0.1:5", lines: []string{"6.6.6.6" + strings.Repeat(", 10.0.0.2", 64)}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.2/32"},
		{name: "more than 8 KiB of commas", remote: "10.0.0.1:5", lines: []string{"6.6.6.6" + strings.Repeat(",", 9000)}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "one entry of more than 8 KiB", remote: "10.0.0.1:5", lines: []string{"6.6.6.6, 203.0.113.5" + strings.Repeat(" ", 9000)}, ip: clientip.Config{TrustedProxies: trusted}, want: "10.0.0.1/32"},
		{name: "single header with two values", remote: "10.0.0.1:5", header: "X-Real-IP", lines: []string{"6.6.6.6, 9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "10.0.0.1/32"},
		{name: "single header with port", remote: "10.0.0.1:5", header: "X-Real-IP", lines: []string{" [2001:db8::9]:80 "}, ip: clientip.Config{TrustedProxies: trusted, Single: true}, want: "2001:db8::/64"},
		{name: "no address at all", remote: "", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted}, want: "none"},
		{name: "no address at all, trusted", remote: "", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustUnixSocket: true}, want: "9.9.9.9/32"},
		{name: "an abstract socket, trusted", remote: "@proxy", header: "Forwarded", lines: []string{"for=9.9.9.9"}, ip: clientip.Config{TrustUnixSocket: true, Single: true}, want: "9.9.9.9/32"},
		{name: "RemoteAddr that a middleware filled is no unix socket", remote: "6.6.6.6, 7.7.7.7", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustUnixSocket: true}, want: "none"},
		{name: "unix socket", remote: "@", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustedProxies: trusted}, want: "none"},
		{name: "unix socket trusted", remote: "@", lines: []string{"9.9.9.9"}, ip: clientip.Config{TrustUnixSocket: true}, want: "9.9.9.9/32"},
		{name: "other bits", remote: "1.2.3.4:5", ip: clientip.Config{V4Bits: 24}, want: "1.2.3.0/24"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			tc.ip.Header = tc.header
			key := keyOf(t, tc.ip)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.remote
			if tc.header == "" {
				tc.header = "X-Forwarded-For"
			}
			for _, line := range tc.lines {
				r.Header.Add(tc.header, line)
			}
			if got := key(r); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if r.RemoteAddr != tc.remote {
				t.Error("the request was changed")
			}
		})
	}
}

func TestMistakesInConfig(t *testing.T) {
	_, err := clientip.New(clientip.Config{V4Bits: 33, Header: "X Real IP", TrustedProxies: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	for _, want := range []string{"33 bits", "name of a header", "invalid", "0.0.0.0/0", "::/0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := clientip.New(clientip.Config{TrustAll: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::/0")}}); err != nil {
		t.Errorf("TrustAll: %v", err)
	}
}

// FuzzPrefix: there is always a key, and a peer that is not trusted cannot
// choose it. What a client sends is left of what a trusted proxy appends, on the
// same line or on one before, and inside of the quotes that the proxy writes: it
// does not change the key, nor is it ever the key of what a trusted proxy says.
func FuzzPrefix(f *testing.F) {
	for _, seed := range [][3]string{
		{"1.2.3.4:5", "9.9.9.9, 10.0.0.1", "for=1.1.1.1"},
		{"@", ",", `for="[::1]`},
		{"10.0.0.1:5", `host="a`, "a,for=6.6.6.6;b"},
		{"10.0.0.1:5", `for=6.6.6.6;host="`, `",for=6.6.6.6;b="`},
		{"10.0.0.1:5", `host="\`, `\",for=6.6.6.6;b=\"`},
		{"10.0.0.1:5", `for=6.6.6.6,`, `,for=6.6.6.6;b=`},
		{"[::ffff:10.0.0.1]:5", `for="[fe80::1%eth0]:_x", for=unknown`, "\\"},
		{"", "for=_hidden;for=6.6.6.6", `=";,`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	behind := func(c clientip.Config) func(*http.Request) string {
		c.TrustedProxies = ten
		return keyOf(f, c)
	}
	listed, forwarded := behind(clientip.Config{}), behind(clientip.Config{Header: "Forwarded"})
	single := behind(clientip.Config{Header: "Forwarded", Single: true})
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, remote, sent, host string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {sent, sent}, "Forwarded": {sent, host}}}
		bare := &http.Request{RemoteAddr: remote, Header: http.Header{}}
		for _, key := range []func(*http.Request) string{listed, forwarded, single} {
			got, want := key(r), key(bare)
			if !strings.HasPrefix(want, "10.") && got != want {
				t.Fatalf("the peer %q is not trusted, but its header makes the key %q", remote, got)
			}
		}
		if strings.ContainsFunc(host, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) || len(host) > 4000 {
			return // net/http lets none into a header
		}
		ours := `for=203.0.113.5;host="` + escape.Replace(host) + `"`
		for _, lines := range [][]string{{ours}, {sent + ", " + ours}, {sent, ours}, {sent + "," + ours + ", for=10.0.0.2"}} {
			r := &http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{"Forwarded": lines}}
			if got := forwarded(r); got != "203.0.113.5/32" {
				t.Fatalf("%q: the key is %q", lines, got)
			}
		}
		r = &http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{"Forwarded": {ours}, "X-Forwarded-For": {sent, sent + ", 203.0.113.5"}}}
		for _, key := range []func(*http.Request) string{listed, single} {
			if got := key(r); got != "203.0.113.5/32" {
				t.Fatalf("%q: the key is %q", r.Header, got)
			}
		}
	})
}
