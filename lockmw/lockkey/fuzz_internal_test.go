package lockkey

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever a router's pattern is and whatever a client sends, a match has one
// value for each wildcard, and a key does not depend on how the path is spelled.
func FuzzPattern(f *testing.F) {
	f.Add("GET /orders/{id}", "/orders/4711")
	f.Add("/files/{rest...}", "/files/a%2Fb/c")
	f.Add("example.com/a/{x}/{$}", "/a/1/")
	f.Add("/{id:[0-9]{2,}}/*", "/12/x")
	f.Add("{", "/")
	f.Fuzz(func(t *testing.T, pattern, target string) {
		p := parsePattern(pattern)
		u, err := url.Parse(target)
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		values, ok := p.match(u)
		if !ok {
			return
		}
		if len(values) != p.count() {
			t.Errorf("%q matches %q with %d values, want %d", pattern, target, len(values), p.count())
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL, r.Pattern = u, pattern
		if pattern == "" {
			return
		}
		key, err := Pattern(r)
		if err != nil {
			t.Fatal(err)
		}
		spelled, err := url.Parse(respell(u.EscapedPath()))
		if err != nil {
			return
		}
		r.URL = spelled
		if other, err := Pattern(r); err != nil || other != key {
			t.Errorf("%q: %s has the key %q, %s has %q, %v", pattern, u.EscapedPath(), key, spelled.EscapedPath(), other, err)
		}
	})
}

// respell escapes the letters of a path.
func respell(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; c == '%' && i+2 < len(path) {
			b.WriteString(path[i : i+3])
			i += 2
		} else if 'a' <= c && c <= 'z' {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
