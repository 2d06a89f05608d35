package rules

import (
	"strings"
	"testing"
)

// Values in one row mean the same; no two rows do.
func TestNegotiationIsComparedByMeaning(t *testing.T) {
	for name, rows := range map[string][][]string{
		"Accept-Encoding": {
			{"gzip", "GZIP", " gzip\t", "gzip,", "gzip;q=1", "gzip ;\tq=1.000", "gzip, br;q=0", "gzip, gzip", "gzip;Q=1"},
			{"gzip;q=0.5", "gzip;q=0.50", "gzip ; q=0.500", "gzip\t;\tq=0.5"},
			{"gzip, br", "br,gzip", "br\t,\tgzip", "gzip, br, x;q=0"},
			{"gzip;q=0.5, br", "br, gzip;q=0.5"},
			{"", "gzip;q=0", "gzip;\tq=0", "br;q=0.000", ","},
			{"*", "*;q=1"},
			{"gzip;q=0, *", "*, gzip;q=0", "*,gzip;\tq=0.0"},
			{"*;q=0", "identity;q=0", "*;q=0, identity;q=0", "*;q=0, gzip;q=0"},
			{"gzip, identity;q=0", "gzip, *;q=0", "gzip, *;q=0, br;q=0"},
			{"identity", "identity, *;q=0"},
			{"gzip, *;q=0.5"},
			{"gzip, gzip;q=0"},
			{"gzip;q=0, gzip"}, // contradictions: who knows
			{"gzip;q=2"},
			{"gzip;q=-1"},
			{"gzip;q=0.0001"},
			{"gzip;q=1e-3"},
			{"gzip;q=nan"},
			{"gzip;q=0x1p-2"},
			{"gzip;q = 0"},
			{"gzip;q"},
			{"gzip;level=1"},
			{";q=0"},
			{"gzip br"},
			{"gzip;q=\u00a00"}, // not white space
		},
		"Accept-Language": {
			{"de", "DE", "de;q=1", "\tde "},
			{"de, en", "en,de"},
			{"de, en;q=0.5", "en;q=0.500,\tde"},
			{"en;q=0.5, de-AT", "de-at, en;q=0.5"},
			{"*"},
			{"*, de;q=0", "de;q=0,*"},
			{"en"},
			{"en, en-us;q=0"},
			{""},
			{"de;q=x"},
			{"de;q=0.1, de;q=0.2"},
		},
		"Accept-Charset": {
			{"utf-8", "UTF-8", "utf-8, latin1;q=0"}, {"*"}, {"*, utf-8;q=0"}, {"utf-8;q=0.5"},
		},
		"Accept": {
			{"text/html", "TEXT/HTML", " text/html\t", "text/html;q=1", "text/html ; Q=1.0"},
			{"text/html;q=0.5", "text/html;\tq=0.50"},
			{"text/html;q=0"},
			{"text/html;q=0, */*", "text/html;q=0,*/*"},
			{"*/*"},
			{""},
			{"text/html, application/json"},
			{"application/json, text/html"}, // some handlers take the first
			{"text/html;level=1", "text/html; LEVEL=1"},
			{"text/html;level"},
			{"text/html;level="},
			{`text/html;a="x, y"`},
			{`text/html;a="x,y"`},
			{"text/html;q=1;x=2"},
			{"text/html;x=2"},
			{"text/html;q=7"},
		},
		"X-Other": {
			{"a, b", "a,b", "a\t,b "}, {"b, a"}, {"A"}, {"a"}, {"a;q=1"},
		},
	} {
		of := map[string]string{}
		for _, row := range rows {
			first := normalized(name, row[:1], nil)
			if other, taken := of[first]; taken {
				t.Errorf("%s: %q and %q have one form, %q", name, row[0], other, first)
			}
			of[first] = row[0]
			for _, value := range row[1:] {
				if got := normalized(name, []string{value}, nil); got != first {
					t.Errorf("%s: %q is %q, and %q is %q", name, value, got, row[0], first)
				}
			}
		}
	}
	if normalized("Accept-Encoding", []string{"gzip", "br;q=0.5"}, nil) != normalized("Accept-Encoding", []string{"br;q=0.5, gzip"}, nil) {
		t.Error("two lines are not one list")
	}
	for value, want := range map[string]string{"de": "{de", "de, en;q=0.9": "{de", "de-AT, de;q=0.9": "", "de, en": "", "de;q=0": "", "*": "", "de;q=5": ""} {
		if got := normalized("Accept-Language", []string{value}, []string{"{de", "{en"}); (got == "{de") != (want == "{de") {
			t.Errorf("%q: %q, want the German page: %v", value, got, want != "")
		}
	}
}

// FuzzNegotiation: a form is its own form, white space and case of what is
// compared by meaning make no other, and refusing a thing is not accepting it.
func FuzzNegotiation(f *testing.F) {
	for _, seed := range []string{"*", "gzip;q=0, *", "gzip;\tq=0", "gzip", "de, en;q=0.5", "identity;q=0", "*;q=0", "text/html;level=1;q=0.7, */*;q=0.1", `a;b="c, d"`, "gzip;q=1.001", "a;;q=1", "\"", "a,b;q=0.5;c=d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language"} {
			form := normalized(name, []string{value}, nil)
			if got := normalized(name, []string{" " + value + "\t"}, nil); got != form {
				t.Errorf("%s: with white space %q is %q, without %q", name, value, got, form)
			}
			if strings.HasPrefix(form, "=") || name == "Accept" {
				continue // folded only
			}
			if got := normalized(name, []string{upper(value)}, nil); got != form {
				t.Errorf("%s: %q in upper case is %q, not %q", name, value, got, form)
			}
			const other = "zz-new"
			if accepted, refused := normalized(name, []string{value, other}, nil), normalized(name, []string{value, other + ";q=0"}, nil); accepted == refused && !strings.Contains(strings.ToLower(value), other) {
				t.Errorf("%s: %q has one form with %s accepted and refused", name, value, other)
			}
		}
	})
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - ('a' - 'A')
		}
	}
	return string(b)
}
