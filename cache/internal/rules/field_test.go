package rules

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

// Values that all give to a field are those of outer middlewares first.
func TestFieldsOfAll(t *testing.T) {
	res := Response{Header: http.Header{"Vary": {"b"}, "Cache-Tag": {"own"}}, Around: http.Header{"Vary": {"a"}, "Surrogate-Key": {"around"}}}
	for name, want := range map[string][]string{"Vary": {"a", "b"}, "Cache-Tag": {"own"}, "Surrogate-Key": {"around"}, "Cache-Groups": nil} {
		if got := res.all(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// The fields of outer middlewares that decide, with those of the target list.
func TestAround(t *testing.T) {
	rs := Rules{Targets: []string{"Cdn-Cache-Control"}}
	h := http.Header{
		"Cache-Control": {"a", "b"}, "cdn-cache-control": {"c"}, "Vary": {"d"}, "set-cookie": {"e"}, "Expires": {"f"}, "Pragma": {"g"},
		"Cache-Tag": {"h"}, "Surrogate-Key": {"i"}, "Cache-Groups": {"j"}, "Content-Type": {},
		"App-Cache-Control": {"k"}, "Etag": {"l"}, "Last-Modified": {"m"}, "X-Other": {"n"},
	}
	want := http.Header{
		"Cache-Control": {"a", "b"}, "Cdn-Cache-Control": {"c"}, "Vary": {"d"}, "Set-Cookie": {"e"}, "Expires": {"f"}, "Pragma": {"g"},
		"Cache-Tag": {"h"}, "Surrogate-Key": {"i"}, "Cache-Groups": {"j"},
	}
	got := rs.Around(h)
	if !equalHeaders(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	got["Cache-Control"][0] = "changed"
	if h["Cache-Control"][0] != "a" {
		t.Error("it shares its values with the header of the response")
	}
	if got := rs.Around(http.Header{"X-Other": {"1"}}); got != nil {
		t.Errorf("nothing that decides: %v, want nil", got)
	}
}

func TestCanonicalHeader(t *testing.T) {
	if got := CanonicalHeader(http.Header{"X-A": {"1"}, "Etag": {"2"}}); got != nil {
		t.Errorf("%v, want nil: nothing is to be changed", got)
	}
	for range 20 { // in any order of the map
		got := CanonicalHeader(http.Header{"x-a": {"3"}, "X-A": {"1"}, "X-a": {"2"}, "ETag": {"4"}})
		if want := (http.Header{"X-A": {"1", "2", "3"}, "Etag": {"4"}}); !equalHeaders(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func equalHeaders(a, b http.Header) bool {
	return maps.EqualFunc(a, b, func(x, y []string) bool { return slices.Equal(x, y) })
}
