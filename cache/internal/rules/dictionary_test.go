package rules

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The grammar of RFC 9651: what is a dictionary, and what each type of value is as the
// argument of a directive. One that is no count of seconds must not become one.
func TestDictionaries(t *testing.T) {
	for field, want := range map[string]Control{
		"":                                  {},
		"  ":                                {},
		"max-age=60":                        {"max-age": "60"},
		"  max-age=60  ":                    {"max-age": "60"},
		"max-age=60\t,\t no-store":          {"max-age": "60", "no-store": ""},
		"max-age=60,no-store":               {"max-age": "60", "no-store": ""},
		"max-age=60\t":                      {"max-age": "60"}, // section 4.2.2, step 2.3
		"a,b , c":                           {"a": "", "b": "", "c": ""},
		"*a-b_c.d*9=1":                      {"*a-b_c.d*9": "1"},
		"a=?1, b=?0":                        {"a": ""},
		"a, a=?0":                           {}, // the last value of a key counts
		"a=?0, a":                           {"a": ""},
		"a=1, b, a=2":                       {"a": "2", "b": ""},
		"a=-15":                             {"a": "-15"},
		"a=007":                             {"a": "007"},
		"a=-0":                              {"a": "-0"},
		"a=999999999999999":                 {"a": "999999999999999"},
		"a=-999999999999999":                {"a": "-999999999999999"},
		"a=123456789012.125":                {"a": "123456789012.125"},
		"a=4.5":                             {"a": "4.5"},
		`a="x"`:                             {"a": `"x`},
		`a=""`:                              {"a": `"`},
		`a="q \" b \\ ~!"`:                  {"a": `"q " b \ ~!`},
		`a=", no-store, b="`:                {"a": `", no-store, b=`},
		`a="60"`:                            {"a": `"60`},
		"a=*tok/en:!#$%&'*+-.^_`|~9":        {"a": "*tok/en:!#$%&'*+-.^_`|~9"},
		"a=Foo":                             {"a": "Foo"},
		"a=:cHJldGVuZCB0aGlz+/==:":          {"a": ":cHJldGVuZCB0aGlz+/==:"},
		"a=::":                              {"a": "::"},
		"a=@1659578233, b":                  {"a": "@1659578233", "b": ""},
		"a=@-1":                             {"a": "@-1"},
		`a=%"f%c3%bc, \", b`:                {"a": `%"f%c3%bc, \"`, "b": ""}, // no escape: the backslash is a character
		`a=%""`:                             {"a": `%""`},
		"a=(), b":                           {"a": "()", "b": ""},
		`private=("set-cookie" "x"), b=1`:   {"private": `("set-cookie" "x")`, "b": "1"},
		`a=( 1  2.5 ?0 tok :AA==: @1 ), b`:  {"a": "( 1  2.5 ?0 tok :AA==: @1 )", "b": ""},
		`a=("x, y" z;q=1;w);lvl=5, b`:       {"a": `("x, y" z;q=1;w)`, "b": ""},
		"a;x, b;y=1;z=?0, c=5;w=tok; v":     {"a": "", "b": "", "c": "5"},
		`max-age=60;x="a, b", no-store;x=1`: {"max-age": "60", "no-store": ""},
		"a=1;*p;q-1.2_3*=(x":                nil,
		"max-age=60,":                       nil,
		",max-age=60":                       nil,
		"a,,b":                              nil,
		"a b":                               nil,
		"a; b c":                            nil,
		"\tmax-age=60":                      nil, // only spaces stand before it
		"Max-Age=60":                        nil,
		"max-Age=60":                        nil,
		"9a=1":                              nil,
		"~a":                                nil,
		"a{=1":                              nil,
		"-a":                                nil,
		"a = 1":                             nil,
		"a= 1":                              nil,
		"a=":                                nil,
		"=1":                                nil,
		"a=1;":                              nil,
		"a=1;X":                             nil,
		"a=1;9x":                            nil,
		"a=1;-x":                            nil,
		"a=1;x=":                            nil,
		"a=1;x=(1)":                         nil,
		"a=1 ;x":                            nil,
		"a=?2":                              nil,
		"a=?":                               nil,
		"a=?10":                             nil,
		"a=1000000000000000":                nil, // 16 digits
		"a=-1000000000000000":               nil,
		"a=1234567890123.1":                 nil, // 13 before the point
		"a=1.1234":                          nil,
		"a=1.":                              nil,
		"a=.1":                              nil,
		"a=1.2.3":                           nil,
		"a=--1":                             nil,
		"a=-":                               nil,
		"a=-a":                              nil,
		"a=1e3":                             nil,
		`a="x`:                              nil,
		`a="x\`:                             nil,
		`a="\x"`:                            nil,
		"a=\"\x7f\"":                        nil,
		"a=\"\t\"":                          nil,
		"a=\"\xc3\xbc\"":                    nil,
		`a='x'`:                             nil,
		"a=:AA":                             nil,
		"a=:A A:":                           nil,
		"a=:no, store:":                     nil,
		"a=:AA_-:":                          nil, // base64url
		"a=@":                               nil,
		"a=@1.5":                            nil,
		"a=@x":                              nil,
		`a=%"%C3%BC"`:                       nil, // upper case
		`a=%"%c3"`:                          nil, // half a character
		`a=%"%c`:                            nil,
		`a=%"%zz"`:                          nil,
		`a=%"x`:                             nil,
		"a=%\"\xc3\xbc\"":                   nil,
		`a=%x`:                              nil,
		"a=(":                               nil,
		"a=(1":                              nil,
		"a=(1 ":                             nil,
		"a=(1,2)":                           nil,
		"a=(1\t2)":                          nil,
		`a=("x""y")`:                        nil,
		"a=((1))":                           nil,
		"a=(1;)":                            nil,
		"a=1)":                              nil,
		"a=[1]":                             nil,
		"a=\u00fc":                          nil,
	} {
		got, ok := parseDictionary(field)
		if ok != (want != nil) || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", field, got, ok, want)
		}
	}
}

// A field of the target list decides alone if it is valid and says something; else the
// next one, at last Cache-Control with Expires (RFC 9213, section 2.2).
func TestTargetedFieldsReplaceCacheControl(t *testing.T) {
	rs := Rules{Targets: []string{"App-Cache-Control", "Cdn-Cache-Control"}, MaxTTL: 24 * time.Hour}
	expires := now.Add(30 * time.Second).Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		app, cdn []string
		control  string
		fresh    time.Duration
		explicit bool
		has      string // directives, each of which must hold
		hasNot   string
	}{
		"none":                  {control: "max-age=60", fresh: time.Minute, explicit: true},
		"second":                {cdn: []string{"max-age=10"}, control: "max-age=60, no-store", fresh: 10 * time.Second, explicit: true, hasNot: "no-store"},
		"first before second":   {app: []string{"max-age=5"}, cdn: []string{"max-age=10, no-store"}, control: "private", fresh: 5 * time.Second, explicit: true, hasNot: "private no-store"},
		"without a lifetime":    {app: []string{"public"}, control: "max-age=60", has: "public"}, // Expires does not count
		"empty":                 {app: []string{""}, cdn: []string{"  "}, control: "max-age=60", fresh: time.Minute, explicit: true},
		"invalid, then valid":   {app: []string{"max-age=5,"}, cdn: []string{"max-age=10"}, control: "no-store", fresh: 10 * time.Second, explicit: true, hasNot: "no-store"},
		"all invalid":           {app: []string{"Max-Age=5"}, cdn: []string{"max-age 10"}, control: "max-age=60", fresh: time.Minute, explicit: true},
		"prohibits":             {app: []string{"no-store"}, control: "max-age=60, public", has: "no-store", hasNot: "public"},
		"prohibits, with lists": {app: []string{`no-store, x=("a" b)`}, control: "max-age=60", has: "no-store"},
		"private, with fields":  {app: []string{`private=("set-cookie"), max-age=5`}, control: "max-age=60", fresh: 5 * time.Second, explicit: true, has: "private"},
		"prohibits, with date":  {app: []string{`no-store, built=@1700000000`}, control: "max-age=60", has: "no-store"},
		"two lines":             {app: []string{"max-age=5", "no-store"}, control: "max-age=60", fresh: 5 * time.Second, explicit: true, has: "no-store"},
		"string for a number":   {app: []string{`max-age="60"`}, explicit: true},
		"decimal":               {app: []string{"max-age=60.5"}, explicit: true},
		"negative":              {app: []string{"max-age=-60"}, explicit: true},
		"token":                 {app: []string{"max-age=x60"}, explicit: true},
		"boolean":               {app: []string{"max-age"}, explicit: true},
		"inner list":            {app: []string{"max-age=(60)"}, explicit: true},
		"date":                  {app: []string{"max-age=@60"}, explicit: true},
		"parameters":            {app: []string{"max-age=60;x=1"}, fresh: time.Minute, explicit: true},
		"s-maxage of both":      {app: []string{"s-maxage=7, max-age=60"}, fresh: 7 * time.Second, explicit: true},
	} {
		h := http.Header{"Expires": {expires}, "Date": {now.Format(http.TimeFormat)}}
		for field, lines := range map[string][]string{"App-Cache-Control": tt.app, "Cdn-Cache-Control": tt.cdn} {
			if lines != nil {
				h[field] = lines
			}
		}
		if tt.control != "" {
			h.Set("Cache-Control", tt.control)
		}
		got := rs.TermsOf(200, h, now)
		if got.Fresh != tt.fresh || got.Explicit != tt.explicit {
			t.Errorf("%s: fresh for %v, explicit %v, want %v, %v", name, got.Fresh, got.Explicit, tt.fresh, tt.explicit)
		}
		for d := range strings.FieldsSeq(tt.has) {
			if !got.Has(d) {
				t.Errorf("%s: %v, without %s", name, got.Control, d)
			}
		}
		for d := range strings.FieldsSeq(tt.hasNot) {
			if got.Has(d) {
				t.Errorf("%s: %v, with %s", name, got.Control, d)
			}
		}
	}
	h := http.Header{"App-Cache-Control": {"max-age=5,"}, "Expires": {expires}, "Date": {now.Format(http.TimeFormat)}}
	if got := rs.TermsOf(200, h, now); !got.Explicit || got.Fresh != 30*time.Second {
		t.Errorf("Expires beside an invalid field: fresh for %v, want 30s", got.Fresh)
	}
}

// FuzzDictionary: a valid field is valid with white space and members around it, which
// say the same then, and its members survive being written one by one.
func FuzzDictionary(f *testing.F) {
	for _, seed := range []string{"max-age=60, no-store", `a=("x" 1;q=2);b, c=:AA==:`, `a=%"%c3%bc", b=@1`, "a=?0, a", `x="\"", y=1.5;z="a, b"`, "a=1;;b", "\t", "a=(((", "a,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		d, ok := parseDictionary(field)
		if !ok {
			if d != nil {
				t.Errorf("%q is invalid, and says %v", field, d)
			}
			return
		}
		for name := range d {
			if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.*") != "" {
				t.Errorf("%q has the key %q", field, name)
			}
		}
		with := " zz-first=1 ,\t" + strings.Trim(field, " ") + " \t"
		if strings.Trim(field, " ") == "" {
			with = " zz-first=1 "
		}
		more, ok := parseDictionary(with)
		if _, have := d["zz-first"]; have {
			return
		}
		delete(more, "zz-first")
		if !ok || !maps.Equal(d, more) {
			t.Errorf("%q says %v, and behind another member %v, %v", field, d, more, ok)
		}
		if _, ok := parseDictionary(field + ","); ok {
			t.Errorf("%q with a comma at the end is valid", field)
		}
	})
}
