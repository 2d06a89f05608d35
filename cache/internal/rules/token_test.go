package rules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Members of a list are separated by commas outside of quoted strings (RFC 9110, section
// 5.6.1). A quote without an end hides nothing.
func TestItems(t *testing.T) {
	for list, want := range map[string][]string{
		"":                    {""},
		"a":                   {"a"},
		" a ,\tb\t":           {"a", "b"},
		"a,,b":                {"a", "", "b"},
		"a,":                  {"a"},
		",a":                  {"", "a"},
		`a="b, c", d`:         {`a="b, c"`, "d"},
		`a="b\", c", d`:       {`a="b\", c"`, "d"},
		`a="b\\", c`:          {`a="b\\"`, "c"},
		`a="b, c`:             {`a="b`, "c"},
		`a="b", c="d, e`:      {`a="b"`, `c="d`, "e"},
		`a\,b`:                {`a\`, "b"}, // a backslash escapes in strings alone
		`"a""b, c", d`:        {`"a""b, c"`, "d"},
		"a\u00a0,\u00a0b":     {"a\u00a0", "\u00a0b"}, // white space is a space or a tab
		`a="b\`:               {`a="b\`},
		`"`:                   {`"`},
		`","`:                 {`","`},
		`a=",", b=",", c=",,`: {`a=","`, `b=","`, `c="`, ""},
	} {
		if got := items(list); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func TestParametersAreCutOutsideOfQuotes(t *testing.T) {
	for s, want := range map[string][2]string{
		"":               {"", ""},
		"a":              {"a", ""},
		"a;b;c":          {"a", "b;c"},
		`a="b;c";d`:      {`a="b;c"`, "d"},
		`a="b\";c";d`:    {`a="b\";c"`, "d"},
		`a="b\\";c`:      {`a="b\\"`, "c"},
		`a\;b`:           {`a\`, "b"},
		`a="b;c`:         {`a="b;c`, ""},
		"a , b;q=1, c;d": {"a , b", "q=1, c;d"},
	} {
		param, rest := cutParam(s)
		if got := [2]string{param, rest}; got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// delta-seconds (RFC 9111, section 1.2.2): a number of any length, of which what is too
// large counts as 2^31.
func TestDeltaSeconds(t *testing.T) {
	const longest = 1 << 31 * time.Second
	for s, want := range map[string]time.Duration{
		"0": 0, "00060": time.Minute, "60": time.Minute,
		"2147483647": (1<<31 - 1) * time.Second, "2147483648": longest, "2147483649": longest,
		"9223372036854775807": longest, "9223372036854775808": longest, strings.Repeat("9", 1000): longest,
	} {
		if got, ok := deltaSeconds(s); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1.0", "1e3", "0x10", " 1", "1 ", "1_000", "one", "\u0661"} {
		if got, ok := deltaSeconds(s); ok || got != 0 {
			t.Errorf("%q: %v, %v, want none", s, got, ok)
		}
	}
}

func TestLowerIsOfASCII(t *testing.T) {
	for s, want := range map[string]string{"": "", "abc-1": "abc-1", "AbZ@[`": "abz@[`", "\u00dcA": "\u00dca", "\u212a": "\u212a" /* Kelvin, which Unicode folds to k */, "A\xff": "a\xff"} {
		if got := lower(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// RFC 9651, section 3.3.4.
func TestValidTokens(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "*": true, "Redis.http/1:x": true, "a!#$%&'*+-.^_|~": true, strings.Repeat("a", 64): true,
		"": false, "1a": false, "-a": false, "a b": false, "a,b": false, `a"`: false, "a;b": false, "a\n": false, "\u00fc": false, strings.Repeat("a", 65): false,
	} {
		if got := ValidToken.MatchString(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// FuzzItems: nothing of a list is lost but white space and commas, and a member is one
// member of its own.
func FuzzItems(f *testing.F) {
	for _, seed := range []string{`a="b, c", d`, `a="b, c`, `"\",`, ",,", `a\,"b`, `a="b\`} {
		f.Add(seed)
	}
	only := func(s string) string { return strings.NewReplacer(",", "", " ", "", "\t", "").Replace(s) }
	f.Fuzz(func(t *testing.T, list string) {
		all := items(list)
		if got := only(strings.Join(all, "")); got != only(list) {
			t.Errorf("%q: %q", list, all)
		}
		for _, item := range all {
			if again := items(item); len(again) != 1 || again[0] != item {
				t.Errorf("%q of %q is %q", item, list, again)
			}
		}
		param, rest := cutParam(list)
		if param != list && param+";"+rest != list {
			t.Errorf("%q is cut into %q and %q", list, param, rest)
		}
	})
}
