package rules

import (
	"net/http"
	"testing"
)

// A 304 updates the stored response that its validators identify (RFC 9111, section
// 4.3.4): a strong one by the strong comparison, a weak one by the weak (RFC 9110, section 8.8.3.2).
func TestWhatA304Identifies(t *testing.T) {
	const may, june = "Fri, 01 May 2026 00:00:00 GMT", "Mon, 01 Jun 2026 00:00:00 GMT"
	header := func(etag, modified string) http.Header {
		h := http.Header{}
		if etag != "" {
			h.Set("ETag", etag)
		}
		if modified != "" {
			h.Set("Last-Modified", modified)
		}
		return h
	}
	for name, tt := range map[string]struct {
		sent, stored http.Header
		want         bool
	}{
		"no validator":                  {header("", ""), header(`"a"`, may), true}, // it answers our condition
		"the same strong one":           {header(`"a"`, ""), header(`"a"`, ""), true},
		"another strong one":            {header(`"b"`, ""), header(`"a"`, ""), false},
		"strong, stored weak":           {header(`"a"`, ""), header(`W/"a"`, ""), false},
		"strong, none stored":           {header(`"a"`, ""), header("", may), false},
		"strong, of the same date":      {header(`"b"`, may), header(`"a"`, may), false},
		"the same strong, another date": {header(`"a"`, june), header(`"a"`, may), true},
		"the same weak one":             {header(`W/"a"`, ""), header(`W/"a"`, ""), true},
		"weak, stored strong":           {header(`W/"a"`, ""), header(`"a"`, ""), true},
		"another weak one":              {header(`W/"b"`, ""), header(`W/"a"`, ""), false},
		"weak, none stored":             {header(`W/"a"`, ""), header("", ""), false},
		"case of the tag":               {header(`"A"`, ""), header(`"a"`, ""), false},
		"case of the mark":              {header(`w/"a"`, ""), header(`W/"a"`, ""), false},
		"the same date":                 {header("", may), header("", may), true},
		"the same date beside a tag":    {header("", may), header(`"a"`, may), true},
		"another date":                  {header("", june), header("", may), false},
		"a date, none stored":           {header("", may), header(`"a"`, ""), false},
	} {
		if got := Identifies(tt.sent, tt.stored); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
