package forwarded_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/forwarded"
)

func TestLastComma(t *testing.T) {
	for list, want := range map[string]int{
		`a`: -1, `a,b`: 1, `a,b,c`: 3, ``: -1,
		`for=1;host="a,b"`:        -1, // a comma in quotes
		`for=1, for=2;host="a,b"`: 5,
		`a="\"",b="\\",c=",",d`:   19,
		`a="\\\"",b`:              8,
		`a="open, for=1;h="x,y"`:  7, // a quote on the left that is never closed
	} {
		if got, ok := forwarded.LastComma(list); got != want || !ok {
			t.Errorf("%s: got %d, %t, want %d", list, got, ok, want)
		}
	}
	for _, list := range []string{`"`, `a=b"`, `a\"b"`} {
		if at, ok := forwarded.LastComma(list); ok {
			t.Errorf("%s: got %d, want an error for a quote that is never opened", list, at)
		}
	}
}

func TestParam(t *testing.T) {
	for _, tc := range []struct {
		element, name, want string
		ok                  bool
	}{
		{`for=192.0.2.1`, "for", "192.0.2.1", true},
		{`FOR=192.0.2.1;proto=https`, "proto", "https", true},
		{`for="[2001:db8::1]:80"`, "for", "[2001:db8::1]:80", true},
		{`host="a\"b\\c";for=x`, "host", `a"b\c`, true},
		{`;; for=x ;; `, "for", "x", true},
		{`for=x`, "proto", "", false},                // not there
		{`for=x;for=y`, "for", "", false},            // twice
		{`for=x;by=a;By=b`, "for", "", false},        // another one twice
		{`for = x`, "for", "", false},                // white space around =
		{`for=`, "for", "", false},                   // no value
		{`=x`, "for", "", false},                     // no name
		{`for="x`, "for", "", false},                 // not closed
		{`for="x\`, "for", "", false},                // escape of nothing
		{`for=x y`, "for", "", false},                // more than a value
		{`for="x"y`, "for", "", false},               // more than a value
		{"for=\"x\x01\"", "for", "", false},          // a control character
		{`for=[2001:db8::1]`, "for", "", false},      // no token
		{strings.Repeat("a=b;", 17), "a", "", false}, // too many pairs
		{``, "for", "", false},
		{strings.Repeat(";", 40) + "for=x", "for", "x", true}, // empty pairs do not count
		{`for="";by=a`, "for", "", true},                      // an empty quoted-string is a value
		{"for=\"a\tb\"", "for", "a\tb", true},                 // a tab is text
		{"for=\"\\\x01\"", "for", "", false},                  // an escaped control character
		{"for=\"\x7f\"", "for", "", false},                    // DEL
		{strings.Repeat(";", 40) + "=x", "for", "", false},
		{`for=x;by`, "for", "", false},   // a name alone
		{`for=x,by=a`, "for", "", false}, // two elements
		{` for=x`, "for", "x", true},
		{`ext=a;for=x;secret=b`, "secret", "b", true}, // parameters of extensions
	} {
		if got, ok := forwarded.Param(tc.element, tc.name); got != tc.want || ok != tc.ok {
			t.Errorf("%s of %q: got %q, %t, want %q, %t", tc.name, tc.element, got, ok, tc.want, tc.ok)
		}
	}
}

func TestCutToken(t *testing.T) {
	for s, want := range map[string][2]string{
		"abc=1": {"abc", "=1"}, "": {"", ""}, "=": {"", "="}, "a!#$%&'*+-.^_`|~9 b": {"a!#$%&'*+-.^_`|~9", " b"}, "ä": {"", "ä"},
		"for;x": {"for", ";x"}, "a\tb": {"a", "\tb"}, "a\x00": {"a", "\x00"}, "a\"b": {"a", "\"b"}, "a,b": {"a", ",b"},
	} {
		if token, rest := forwarded.CutToken(s); token != want[0] || rest != want[1] {
			t.Errorf("%q: got %q, %q, want %q", s, token, rest, want)
		}
	}
}

// elements cuts a list at its commas, from the end.
func elements(list string) (all []string, ok bool) {
	for {
		at, ok := forwarded.LastComma(list)
		if !ok {
			return all, false
		}
		all = append(all, strings.TrimSpace(list[at+1:]))
		if at < 0 {
			return all, true
		}
		list = list[:at]
	}
}

func TestElementsFromTheEnd(t *testing.T) {
	for list, want := range map[string]struct {
		all []string
		ok  bool
	}{
		`for=a`:                               {[]string{`for=a`}, true},
		`for=a, for=b ,for=c`:                 {[]string{`for=c`, `for=b`, `for=a`}, true},
		`for=a;host="x,y", for=b;host="z,\""`: {[]string{`for=b;host="z,\""`, `for=a;host="x,y"`}, true},
		`for=a,,for=b`:                        {[]string{`for=b`, ``, `for=a`}, true},
		`for="a, for=b`:                       {[]string{`for=b`}, false}, // the client's own quote does not hide for=b
	} {
		if all, ok := elements(list); !slices.Equal(all, want.all) || ok != want.ok {
			t.Errorf("%s: got %q, %t, want %q, %t", list, all, ok, want.all, want.ok)
		}
	}
}

// What a client writes in front of a proxy's element never changes how that element
// is read.
func FuzzPrefix(f *testing.F) {
	for _, s := range []string{"", `"`, `for="`, `for=1.2.3.4, `, `\`, `\"`, `a=",",`, "for=x;host=\"a"} {
		f.Add(s)
	}
	const element = `for="[2001:db8::1]:80";host="a,b"`
	f.Fuzz(func(t *testing.T, prefix string) {
		list := prefix + "," + element
		at, ok := forwarded.LastComma(list)
		if !ok || at != len(prefix) {
			t.Fatalf("%q: the comma is at %d, %t, want %d", list, at, ok, len(prefix))
		}
		if got, ok := forwarded.Param(list[at+1:], "for"); got != "[2001:db8::1]:80" || !ok {
			t.Errorf("%q: got %q, %t", list, got, ok)
		}
	})
}

// A parameter is read as it was quoted, and the commas in its value do not
// separate elements.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "a,b", `a"b`, `\`, `\"`, "a;b=c", "\t"} {
		f.Add(s)
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return
		}
		element := `for=192.0.2.1;host="` + escape.Replace(value) + `"`
		if got, ok := forwarded.Param(element, "host"); got != value || !ok {
			t.Errorf("%q: got %q, %t", element, got, ok)
		}
		if at, ok := forwarded.LastComma("x," + element); at != 1 || !ok {
			t.Errorf("%q: the comma is at %d, %t, want 1", element, at, ok)
		}
	})
}

func TestCutPair(t *testing.T) {
	for s, want := range map[string]struct {
		name, value, rest string
		ok                bool
	}{
		`for=192.0.2.1;proto=https`: {"for", "192.0.2.1", ";proto=https", true},
		`for="a;b",by=c`:            {"for", "a;b", ",by=c", true},
		`for=""`:                    {"for", "", "", true}, // a quoted string may be empty, a token may not
		`for="\"" `:                 {"for", `"`, " ", true},
		`for=`:                      {"for", "", "", false},
		`for`:                       {"", "", "", false},
		`="x"`:                      {"", "", "", false},
		``:                          {"", "", "", false},
		`for="x`:                    {"for", "", "", false},
		`for ="x"`:                  {"", "", "", false},
	} {
		name, value, rest, ok := forwarded.CutPair(s)
		if ok != want.ok || ok && (name != want.name || value != want.value || rest != want.rest) {
			t.Errorf("%s: got %q, %q, %q, %t, want %+v", s, name, value, rest, ok, want)
		}
	}
}

func TestCutQuoted(t *testing.T) {
	for s, want := range map[string]struct {
		value, rest string
		ok          bool
	}{
		`x"y`: {"x", "y", true}, `"`: {"", "", true}, `a\b"`: {"ab", "", true}, `a\\"`: {`a\`, "", true}, "a\tb\"": {"a\tb", "", true}, `ä"`: {"ä", "", true},
		`x`: {"", "", false}, `x\`: {"", "", false}, `x\"`: {"", "", false}, "x\n\"": {"", "", false}, "x\\\x00\"": {"", "", false}, "x\x7f\"": {"", "", false},
	} {
		if value, rest, ok := forwarded.CutQuoted(s); value != want.value || ok != want.ok || ok && rest != want.rest {
			t.Errorf("%q: got %q, %q, %t, want %+v", s, value, rest, ok, want)
		}
	}
}

// Whatever a client sends, the element that the nearest proxy appends is the last.
func FuzzTheLastElementIsTheProxys(f *testing.F) {
	for _, s := range []string{"", "for=1", `for="`, `for="\`, `for="a,b`, `,,"`, `\`, `"\",`} {
		f.Add(s)
	}
	const own = `for="192.0.2.1";host="a,b\"c"`
	f.Fuzz(func(t *testing.T, sent string) {
		list := sent + "," + own
		at, ok := forwarded.LastComma(list)
		if !ok || at != len(sent) {
			t.Fatalf("%q: the last element begins behind %d, %t, want %d", list, at, ok, len(sent))
		}
		if got, ok := forwarded.Param(list[at+1:], "for"); got != "192.0.2.1" || !ok {
			t.Errorf("%q: got %q, %t", list, got, ok)
		}
	})
}
