package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Requests whose selecting fields match have one variant, others have others (RFC 9111, section 4.1).
func TestVariants(t *testing.T) {
	rs := Rules{Vary: []string{"X-Device"}}
	names := []string{"Accept-Encoding", "X-A", "X-B"}
	plain := rs.Variant(names, http.Header{})
	same := []http.Header{
		{"Accept": {"text/html"}, "User-Agent": {"x"}, "Cookie": {"a=b"}, "Host": {"b.example"}, "X-Forwarded-For": {"1.2.3.4"}},
		{"X-A": nil}, // no value: not there
	}
	for _, h := range same {
		if got := rs.Variant(names, h); got != plain {
			t.Errorf("%v is another variant than no field", h)
		}
	}
	seen := map[string]http.Header{plain: {}}
	for _, h := range []http.Header{
		{"X-A": {""}}, // there, and empty
		{"X-A": {"1"}},
		{"X-B": {"1"}},
		{"X-A": {"1"}, "X-B": {"1"}},
		{"X-A": {"11"}, "X-B": {""}},
		{"X-A": {"1"}, "X-B": {"11"}},
		{"X-A": {"1, 2"}},
		{"X-A": {"2, 1"}},
		{"X-A": {"1 2"}},
		{"X-A": {"A"}},
		{"X-A": {"a"}},
		{"X-A": {"1\x00X-B\x001"}},
		{"Accept-Encoding": {"gzip"}},
		{"Accept-Encoding": {"br"}},
		{"X-Device": {"phone"}},
	} {
		v := rs.Variant(names, h)
		if other, taken := seen[v]; taken {
			t.Errorf("%v and %v are one variant", h, other)
		}
		seen[v] = h
	}
	for _, pair := range [][2]http.Header{
		{{"X-A": {"1,2"}}, {"X-A": {"1", " 2"}}},
		{{"X-A": {" 1\t"}}, {"X-A": {"1"}}},
		{{"Accept-Encoding": {"gzip, br"}}, {"Accept-Encoding": {"BR", "gzip;q=1.0"}}},
	} {
		if a, b := rs.Variant(names, pair[0]), rs.Variant(names, pair[1]); a != b {
			t.Errorf("%v and %v are two variants", pair[0], pair[1])
		}
	}
	// The fields themselves are part of it: what is stored for others is not found.
	h := http.Header{"X-A": {"1"}}
	if rs.Variant([]string{"X-A"}, h) == rs.Variant([]string{"X-A", "X-B"}, h) || rs.Variant(nil, http.Header{}) == plain {
		t.Error("two sets of fields have one variant")
	}
	if got := rs.Variant([]string{"{de", "X-A", "{en"}, h); got != rs.Variant([]string{"X-A"}, h) {
		t.Error("the languages of a target are no fields")
	}
}

// A field that a handler may take for part of the URL selects whether or not a response
// names it: else one client chooses the page of another.
func TestFieldsThatCouldPoisonSelect(t *testing.T) {
	rs := Rules{}
	plain := rs.Variant(nil, http.Header{})
	seen := map[string]string{}
	for _, name := range []string{
		"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
		"X-Host", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL",
	} {
		h := http.Header{}
		h.Set(name, "evil")
		got := rs.Variant(nil, h)
		if got == plain {
			t.Errorf("%s does not select", name)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%s and %s are one variant", name, other)
		}
		seen[got] = name
	}
}

// The marks of languages among the names of a target.
func TestLanguages(t *testing.T) {
	names := []string{"Accept-Language", "X-A", "{de", "{en"}
	if got := FieldsOf(names); !slices.Equal(got, names[:2]) || len(names) != 4 || names[2] != "{de" {
		t.Errorf("fields: %q of %q", got, names)
	}
	if got := LanguagesOf(names); got != 2 {
		t.Errorf("%d languages, want 2", got)
	}
	if got := LanguagesOf(names[:2]); got != 0 {
		t.Errorf("%d languages, want none", got)
	}
	fields := []string{"Accept-Language"}
	for name, tt := range map[string]struct {
		fields, lines []string
		want          string
	}{
		"one":                    {fields, []string{"de"}, "{de"},
		"case":                   {fields, []string{" de-AT "}, "{de-at"},
		"none":                   {fields, nil, ""},
		"two":                    {fields, []string{"de, en"}, ""},
		"two lines":              {fields, []string{"de", "en"}, ""},
		"no language":            {fields, []string{"d\x00e"}, ""},
		"empty":                  {fields, []string{""}, ""},
		"of another kind":        {fields, []string{"{de"}, ""},
		"that does not select":   {[]string{"Accept"}, []string{"de"}, ""},
		"that selects with more": {[]string{"Accept", "Accept-Language"}, []string{"en"}, "{en"},
	} {
		if got := Language(tt.fields, http.Header{"Content-Language": tt.lines}); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A client whose first language the target has gets that, whatever else it accepts (RFC
// 9110, section 12.5.4); others get what their whole list selects.
func TestTheFirstLanguageSelects(t *testing.T) {
	rs := Rules{}
	known := []string{"Accept-Language", "{de", "{en"}
	variant := func(value string) string { return rs.Variant(known, http.Header{"Accept-Language": {value}}) }
	for _, value := range []string{"de, en;q=0.5", "DE, *;q=0.1", "en;q=0.3, de;q=0.4, fr;q=0.2"} {
		if variant(value) != variant("de") {
			t.Errorf("%q: another variant than de", value)
		}
	}
	for _, value := range []string{"en", "de, en", "fr, de;q=0.9", "de-CH, de;q=0.9", "de;q=0", "{de", "*", ""} {
		if variant(value) == variant("de") {
			t.Errorf("%q: the variant of de", value)
		}
	}
	if a, b := rs.Variant(known[:1], http.Header{"Accept-Language": {"de"}}), rs.Variant(known[:1], http.Header{"Accept-Language": {"de, en;q=0.5"}}); a == b {
		t.Error("a target without languages: one variant for two lists")
	}
}

// FuzzVariant: what a client writes into one field never makes the variant of a request
// with other fields, and white space around it makes no other.
func FuzzVariant(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"", "a"}, {"a\x03X-B", "b"}, {"1, 2", "1,2"}, {`a="b, c`, ""}, {" x", "\ty"}} {
		f.Add(seed[0], seed[1])
	}
	rs, names := Rules{}, []string{"X-A", "X-B"}
	f.Fuzz(func(t *testing.T, a, b string) {
		both := rs.Variant(names, http.Header{"X-A": {a}, "X-B": {b}})
		for name, h := range map[string]http.Header{"the first": {"X-A": {a}}, "the second": {"X-B": {b}}, "none": {}} {
			if rs.Variant(names, h) == both {
				t.Errorf("%q and %q: the same variant with %s of them alone", a, b, name)
			}
		}
		if form := normalized("X-A", []string{a}, nil); form != normalized("X-A", []string{b}, nil) && both == rs.Variant(names, http.Header{"X-A": {b}, "X-B": {a}}) {
			t.Errorf("%q and %q: the same variant when they change places", a, b)
		}
		if rs.Variant(names, http.Header{"X-A": {" " + a + "\t"}, "X-B": {b}}) != both {
			t.Errorf("%q: another variant with white space", a)
		}
		suffix, _, ok := strings.Cut(both, ".")
		if len(suffix) != 32 || !ok || strings.Trim(both, "0123456789abcdef.") != "" {
			t.Errorf("%q, %q: %q is no name for a key", a, b, both)
		}
	})
}
