package cache

import (
	"net/http"
	"reflect"
	"regexp"
	"testing"
	"time"
)

func FuzzDecode(f *testing.F) {
	e := &entry{target: "t", inc: "i", seq: 3, status: 200, age: time.Second, lives: lives{fresh: time.Minute, keep: time.Hour, strict: true},
		tags: []string{"x"}, size: 4, header: http.Header{"A": {"1", "2"}}, body: []byte("body")}
	f.Add(e.encode())
	f.Add([]byte{entryVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeEntry(b)
		if err != nil {
			return
		}
		_, _ = got.inline() // may fail, must not panic
		again, err := decodeEntry(got.encode())
		if err != nil || !reflect.DeepEqual(again.header, got.header) || string(again.body) != string(got.body) || again.target != got.target {
			t.Errorf("not the same again: %+v, %+v, %v", got, again, err)
		}
	})
}

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
			a := &attempt{c: c, r: r, f: found{place: place{target: "t"}, inc: "i"}, s: Status{Forward: "uri-miss", ForwardStatus: 200}}
			a.consider(200, h)
			if field := c.identifier + a.s.String(); !statusField.MatchString(field) {
				t.Errorf("Cache-Status: %q", field)
			}
			if a.e != nil && (a.e.fresh < 0 || a.e.keep < a.e.fresh) {
				t.Errorf("lives: %+v", a.e.lives)
			}
			c.variant(varyNames(h), r.Header)
		}
		wants(parseControl(r.Header), r.Header, time.Second, time.Second)
	})
}
