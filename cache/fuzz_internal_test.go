package cache

import (
	"net/http"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

var statusField = regexp.MustCompile(`^redishttp(; hit; ttl=-?\d+)?(; fwd=[a-z-]+)?(; fwd-status=\d+)?(; stored)?(; collapsed)?(; detail=[a-z-]+)?$`)

// FuzzRequest: no field of a request or response breaks the parsers, and
// Cache-Status stays a structured field.
func FuzzRequest(f *testing.F) {
	f.Add("no-cache, max-age=\"5", "a, b;q=0", "gzip;q=0.0", "s-maxage=60")
	f.Fuzz(func(t *testing.T, requestControl, vary, encoding, control string) {
		r := &http.Request{Method: "GET", Header: http.Header{"Cache-Control": {requestControl}, "Accept-Encoding": {encoding}}}
		h := http.Header{"Vary": {vary}, "Cache-Control": {control}, "Expires": {control}, "Age": {vary}, "Connection": {vary}}
		for name, line := range map[string]string{"Cdn-Cache-Control": control, "Cache-Groups": vary, "Surrogate-Key": encoding} {
			h.Set(name, line)
			c := &Cache{config: defaults(nil)}
			a := &attempt{exchange: exchange{c: c, r: r, f: store.Found{Place: store.Place{Target: "t"}, Inc: "i"}, s: Status{Forward: "uri-miss", ForwardStatus: 200}}}
			a.consider(200, h)
			if field := c.identifier + a.s.String(); !statusField.MatchString(field) {
				t.Errorf("Cache-Status: %q", field)
			}
			if a.e != nil && (a.e.Fresh < 0 || a.e.Keep < a.e.Fresh) {
				t.Errorf("lives: %+v", a.e.Lives)
			}
			c.rules.Variant(rules.VaryNames(h), r.Header)
		}
		rules.Wants(rules.ParseControl(r.Header), r.Header, time.Second, time.Second)
	})
}

// FuzzSchemeOfAKey: whatever a header says, the scheme is http or https, and what
// a client wrote before the last element does not count.
func FuzzSchemeOfAKey(f *testing.F) {
	for _, seed := range []string{"https", "http, https", `for=x;proto=https`, `host="a,proto=http;b";proto=https`, `proto="https`, `proto=https;proto=http`, `host="a\",proto=https`, ",", ";", "="} {
		f.Add(seed)
	}
	c := config{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, value string) {
		for _, field := range []string{"X-Forwarded-Proto", "Forwarded"} {
			c.protoField = field
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{field: {value}}}
			if got := c.schemeOf(r); got != "http" && got != "https" {
				t.Errorf("%s: %q gives %q", field, value, got)
			}
			r.Header = http.Header{field: {value, "proto=http"}} // a line of the proxy's own
			if got := c.schemeOf(r); got != "http" {
				t.Errorf("%s: %q chooses %q", field, value, got)
			}
		}
	})
}
