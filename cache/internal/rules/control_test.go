package rules

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Of contradictory directives the most restrictive counts, in any order, in one
// line or several, quoted or not.
func TestContradictoryDirectives(t *testing.T) {
	rs := Rules{MaxTTL: 24 * time.Hour}
	now := time.Now()
	for line, want := range map[string]time.Duration{
		"max-age=60":                           time.Minute,
		`max-age="60"`:                         time.Minute,
		"MAX-AGE=60":                           time.Minute,
		"max-age=60, max-age=10":               10 * time.Second,
		"max-age=10, max-age=60":               10 * time.Second,
		"max-age=60, max-age=junk":             0,
		"max-age=60, max-age":                  0,
		`max-age=60, x="max-age=1, no-store"`:  time.Minute,
		`max-age=60, x="a\", max-age=1`:        time.Second, // the quote does not end
		"max-age=60, s-maxage=10, s-maxage=20": 10 * time.Second,
		"max-age=99999999999999999999":         1 << 31 * time.Second,
		"max-age=-1":                           0,
		"max-age=1.5":                          0,
		"max-age = 60":                         time.Minute,
		"\tmax-age=60\t,":                      time.Minute,
	} {
		for _, lines := range [][]string{{line}, strings.SplitAfter(line, "60, ")} {
			if got := rs.TermsOf(200, http.Header{"Cache-Control": lines}, now); !got.Explicit || got.Fresh != want {
				t.Errorf("%q: %v, want %v", lines, got.Fresh, want)
			}
		}
	}
	for line, want := range map[string]string{
		`foo="bar, no-store`:    "no-store",
		`foo="bar, no-store"`:   "",
		"private; max-age=60":   "private",
		"no-store=\"x\"":        "no-store",
		"max-age=60,no-store":   "no-store",
		"max-age=60,,\tprivate": "private",
		"x-no-store":            "",
	} {
		d := ParseControl(http.Header{"Cache-Control": {line}})
		if got := d.Has("no-store") || d.Has("private"); got != (want != "") || got && !d.Has(want) {
			t.Errorf("%q: %v, want %q", line, d, want)
		}
	}
	for line, want := range map[string]bool{
		"max-age=60":                true,
		"max-age=60, max-age=5":     false,
		"min-fresh=1, min-fresh=30": false,
		"no-cache":                  false,
		`x="no-cache"`:              true,
	} {
		h := http.Header{"Cache-Control": {line}}
		if got := Wants(ParseControl(h), h, 10*time.Second, 20*time.Second); got != want {
			t.Errorf("request %q: %v, want %v", line, got, want)
		}
	}
	for line, want := range map[string]bool{"max-stale": true, "max-stale=5": false, "max-stale, max-stale=5": false, "max-stale=5, max-stale": false, "max-stale=junk": false} {
		if got := ToleratesStale(ParseControl(http.Header{"Cache-Control": {line}}), -10*time.Second); got != want {
			t.Errorf("request %q: %v, want %v", line, got, want)
		}
	}
}

// FuzzControl: whatever two parties say of a response, together they permit no more
// than each; a request that says two things wants both.
func FuzzControl(f *testing.F) {
	for _, seed := range [][2]string{
		{"max-age=60, no-store", "public"},
		{`private="a, b", max-age="60"`, "max-age=10, max-age=20"},
		{"must-understand, no-store", "no-store"},
		{`x="a\", no-store`, "s-maxage=0"},
		{"max-stale, min-fresh=10", "max-stale=5"},
		{"stale-while-revalidate=60, max-age=1", "stale-while-revalidate=5"},
		{"\"", "max-age=\"1"},
		{"private; x", "max-age=1"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, own, around string) {
		rs := Rules{MaxTTL: 24 * time.Hour}
		now := time.Now()
		a, b := http.Header{"Cache-Control": {own}}, http.Header{"Cache-Control": {around}}
		x, y, both := rs.TermsOf(200, a, now), rs.TermsOf(200, b, now), rs.Terms(Response{Status: 200, Header: a, Around: b}, now)
		for _, name := range []string{"no-store", "private", "no-cache", "must-revalidate", "proxy-revalidate"} {
			if both.Has(name) != (x.Has(name) || y.Has(name)) {
				t.Errorf("%s of %q and %q: %v", name, own, around, both.Has(name))
			}
		}
		for _, one := range []Terms{x, y} {
			if one.Explicit && (!both.Explicit || both.Fresh > one.Fresh) {
				t.Errorf("%q and %q: %v, longer than %v", own, around, both.Fresh, one.Fresh)
			}
		}
		if both.shared && !x.shared && x.spoken() || both.ForAll != x.ForAll {
			t.Errorf("%q around %q permits what that does not", around, own)
		}
		one, other := ParseControl(http.Header{"Cache-Control": {own, around}}), ParseControl(http.Header{"Cache-Control": {around, own}})
		for name := range one {
			d1, _ := one.Seconds(name)
			d2, ok := other.Seconds(name)
			if known := name == "max-age" || name == "s-maxage" || name == "min-fresh"; !ok || known && d1 != d2 {
				t.Errorf("%s of %q and %q: %v one way round, %v the other", name, own, around, d1, d2)
			}
		}
		h := http.Header{"Cache-Control": {own, around}}
		if Wants(ParseControl(h), h, 10*time.Second, 20*time.Second) && !(Wants(ParseControl(a), a, 10*time.Second, 20*time.Second) && Wants(ParseControl(b), b, 10*time.Second, 20*time.Second)) {
			t.Errorf("%q and %q ask for less together", own, around)
		}
	})
}

// FuzzRange: what is sent is within the body, and net/http reads the rewritten field
// as we did.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=-0", "items=0-1", "bytes=0-1,5-", "bytes=5-2", "bytes= 0-1", "bytes=0 - 1", "bytes=-99999999999999999999", "bytes=,", "Bytes=0-0", "bytes=+1-2", "bytes=0-,0-,0-"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, value string, size int64) {
		size &= 1<<40 - 1
		all, ignore := ranges([]string{value}, size)
		if ignore {
			return
		}
		for _, r := range all {
			if r.first < 0 || r.last >= size || r.first > r.last {
				t.Errorf("%q of %d: %+v", value, size, r)
			}
		}
		if len(all) > maxRanges || !strings.HasPrefix(strings.ToLower(strings.Trim(value, ows)), "bytes=") {
			t.Errorf("%q of %d: %+v", value, size, all)
		}
		r := &http.Request{Method: "GET", Header: http.Header{"Range": {value}}}
		line := Servable(r, http.Header{}, size).Header.Get("Range")
		if again, ignore := ranges([]string{line}, size); ignore || len(again) != len(all) {
			t.Errorf("%q of %d became %q: %+v", value, size, line, again)
		}
	})
}

// Prohibitions are heard in a field that has the wrong separators.
func TestProhibitionsInInvalidFields(t *testing.T) {
	rs := Rules{MaxTTL: 24 * time.Hour}
	for line, want := range map[string]string{
		"public; private, max-age=60": "private", "max-age=60; private": "private", "max-age=60\tprivate": "private", `s-maxage=60; private="a"`: "private",
		"public; no-store, max-age=60": "no-store", "public No-Store, max-age=60": "no-store", "no-cache; no-store": "no-store", "s-maxage=60, public; no-cache": "no-cache",
		`max-age=60, x="a; private"`: "", `max-age=60, x="a private b"`: "", "max-age=60, public; privately": "",
	} {
		d := rs.TermsOf(200, http.Header{"Cache-Control": {line}}, time.Now())
		for _, name := range []string{"private", "no-store", "no-cache"} {
			if got := d.Has(name); got != (name == want) && !(name == "no-cache" && line == "no-cache; no-store") {
				t.Errorf("%q: %s is %v", line, name, got)
			}
		}
	}
}

// Directives with their arguments (RFC 9111, section 5.2), of which a quoted one is the
// same as one that is not, and of two the one that permits less counts.
func TestArgumentsOfDirectives(t *testing.T) {
	for line, want := range map[string]Control{
		"":                                   nil,
		",, ,":                               nil,
		"a, B=c":                             {"a": "", "b": "c"},
		"a=B":                                {"a": "B"},
		`a="b c"`:                            {"a": "b c"},
		`private="x-a,x-b", max-age=5`:       {"private": "x-a,x-b", "max-age": "5"},
		" a = b ":                            {"a": "b"},
		"a=b=c":                              {"a": "b=c"},
		"=a":                                 nil,
		"max-age=5, max-age=5":               {"max-age": "5"},
		"s-maxage=9, s-maxage=5":             {"s-maxage": "5"},
		"stale-if-error=5, stale-if-error=9": {"stale-if-error": "5"},
		"stale-while-revalidate=9, stale-while-revalidate=x": {"stale-while-revalidate": "x"}, // none
		"min-fresh=5, min-fresh=9, min-fresh=7":              {"min-fresh": "9"},
		"max-stale, max-stale=9, max-stale=5":                {"max-stale": "5"},
		"max-stale=5, max-stale, max-stale=9":                {"max-stale": "5"},
		"x-a=1, x-a=2":                                       {"x-a": "1"}, // which is known of none
		"max-age=60 no-store":                                {"max-age": "60 no-store", "no-store": ""},
		"a;x=60":                                             {"a": ""},
		"max-age;x=60":                                       {"max-age": ""},
		"private;x=60, max-age=5":                            {"private": "", "max-age": "5"},
	} {
		if got := ParseControl(http.Header{"Cache-Control": {line}}); !maps.Equal(got, want) {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
	if got := ParseControl(http.Header{"Cache-Control": {"max-age=60", "no-store", `x="a, b"`}}); !maps.Equal(got, Control{"max-age": "60", "no-store": "", "x": "a, b"}) {
		t.Errorf("three lines: %v", got)
	}
	if got := ParseControl(http.Header{}); got != nil {
		t.Errorf("no field: %v, want nil", got)
	}
}

func TestSecondsOfDirectives(t *testing.T) {
	c := Control{"max-age": "60", "s-maxage": "x", "public": ""}
	for name, want := range map[string]time.Duration{"max-age": time.Minute, "s-maxage": 0, "public": 0} {
		if got, ok := c.Seconds(name); !ok || got != want {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, want)
		}
	}
	if got, ok := c.Seconds("min-fresh"); ok || got != 0 {
		t.Errorf("what is not there: %v, %v", got, ok)
	}
}
