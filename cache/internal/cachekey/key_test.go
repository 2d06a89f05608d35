package cachekey

import (
	"net/url"
	"testing"
)

// FuzzPurgedURL: a URL as a request has it and as it is written to be purged is one.
func FuzzPurgedURL(f *testing.F) {
	for _, seed := range [][2]string{{"example.com", "/a"}, {"EXAMPLE.com.", "/a%2Fb?q=%20"}, {"[::1]:443", "/%c3%a9"}, {"a:8080", "//x/../y"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, host, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil || u.Host != "" || u.Scheme != "" {
			return
		}
		full, err := url.Parse("https://" + host + uri)
		if err != nil || full.Host != host || full.Fragment != "" || full.RawQuery != u.RawQuery || full.Path != u.Path {
			return
		}
		raw, err := ParseURL("https://" + host + uri)
		if err != nil {
			return
		}
		if a, b := PurgeID(raw), PurgeID(Target("http", host, u)); a != b {
			t.Errorf("%q %q: a purge does not find it", host, uri)
		}
	})
}
