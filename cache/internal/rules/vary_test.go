package rules

import (
	"net/http"
	"slices"
	"testing"
)

// Names are not case-sensitive, and of all lines (RFC 9110, section 12.5.5).
func TestVaryNames(t *testing.T) {
	for name, tt := range map[string]struct {
		lines, want []string
	}{
		"none":          {nil, nil},
		"empty":         {[]string{"", " , ,"}, nil},
		"one":           {[]string{"accept"}, []string{"Accept"}},
		"in any case":   {[]string{"aCCEPT-encoding,ACCEPT"}, []string{"Accept", "Accept-Encoding"}},
		"each once":     {[]string{"a,A", "a"}, []string{"A"}},
		"several lines": {[]string{"b\t,c", " a"}, []string{"A", "B", "C"}},
		"a star":        {[]string{"accept, *"}, []string{"*", "Accept"}},
	} {
		if got := VaryNames(http.Header{"Vary": tt.lines}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestAddVary(t *testing.T) {
	for name, tt := range map[string]struct {
		have  []string
		names []string
		want  []string
	}{
		"to none":       {nil, []string{"A", "B"}, []string{"A", "B"}},
		"nothing":       {[]string{"a"}, nil, []string{"a"}},
		"what is there": {[]string{"a, B"}, []string{"A", "B"}, []string{"a, B"}},
		"one is new":    {[]string{"a"}, []string{"A", "B"}, []string{"a", "B"}},
	} {
		shared := append(make([]string, 0, 8), tt.have...)
		h := http.Header{"Vary": shared}
		AddVary(h, tt.names)
		if got := h["Vary"]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if rest := shared[len(shared):cap(shared)]; slices.ContainsFunc(rest, func(s string) bool { return s != "" }) {
			t.Errorf("%s: it has written behind the lines that others share", name)
		}
	}
}

func TestAddVaryLines(t *testing.T) {
	for name, tt := range map[string]struct {
		have, lines, want []string
	}{
		"to none":         {nil, []string{"A, B", "a"}, []string{"A, B", "a"}},
		"nothing":         {[]string{"a"}, nil, []string{"a"}},
		"what is there":   {[]string{"A,b"}, []string{"B", "a"}, []string{"A,b"}},
		"one line is new": {[]string{"A"}, []string{"a", "b", "a, c"}, []string{"A", "b", "a, c"}},
	} {
		shared := append(make([]string, 0, 8), tt.have...)
		h := http.Header{}
		if tt.have != nil {
			h["Vary"] = shared
		}
		AddVaryLines(h, tt.lines)
		if got := h["Vary"]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if rest := shared[len(shared):cap(shared)]; slices.ContainsFunc(rest, func(s string) bool { return s != "" }) {
			t.Errorf("%s: it has written behind the lines that others share", name)
		}
	}
	lines := append(make([]string, 0, 4), "A")
	first, second := http.Header{}, http.Header{}
	AddVaryLines(first, lines)
	AddVaryLines(second, lines)
	first.Add("Vary", "B")
	second.Add("Vary", "C")
	if got := first["Vary"]; !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("lines of the store that two responses add to: %q, want A and B", got)
	}
}

func TestWithoutVary(t *testing.T) {
	for name, tt := range map[string]struct{ lines, want []string }{
		"none":         {nil, nil},
		"the only one": {[]string{"cookie", "Cookie"}, nil},
		"one of many":  {[]string{"accept, COOKIE", "x-a"}, []string{"Accept, X-A"}},
		"another":      {[]string{"cookies"}, []string{"Cookies"}},
	} {
		if got := WithoutVary(tt.lines, "Cookie"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
