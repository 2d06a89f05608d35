package rules

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Cache-Groups is a list of strings (RFC 9875, section 2); anything else counts as absent.
func TestGroups(t *testing.T) {
	for name, tt := range map[string]struct {
		lines, want []string
	}{
		"none":                          {nil, nil},
		"empty":                         {[]string{""}, nil},
		"one":                           {[]string{`"a"`}, []string{"a"}},
		"several":                       {[]string{`"a", "b" ,"c"`}, []string{"a", "b", "c"}},
		"several lines":                 {[]string{`"a"`, `"b", "c"`}, []string{"a", "b", "c"}},
		"case matters":                  {[]string{`"a", "A"`}, []string{"a", "A"}},
		"spaces and commas":             {[]string{`"a b", "c,d"`}, []string{"a b", "c,d"}},
		"escapes":                       {[]string{`"a\"b", "\\"`}, []string{`a"b`, `\`}},
		"empty string":                  {[]string{`""`}, []string{""}},
		"parameters":                    {[]string{`"a";x=1;y, "b"`}, []string{"a", "b"}},
		"parameter with a comma":        {[]string{`"a";x="1, 2", "b"`}, []string{"a", "b"}},
		"last parameter":                {[]string{`"a", "b";x="1,2"`}, []string{"a", "b"}},
		"token":                         {[]string{`a`}, nil},
		"token among strings":           {[]string{`"a", b`}, nil},
		"number":                        {[]string{`"a", 1`}, nil},
		"inner list":                    {[]string{`("a" "b")`}, nil},
		"comma at the end":              {[]string{`"a",`}, nil},
		"comma at the beginning":        {[]string{`,"a"`}, nil},
		"no comma":                      {[]string{`"a" "b"`}, nil},
		"unclosed":                      {[]string{`"a", "b`}, nil},
		"invalid escape":                {[]string{`"a\b"`}, nil},
		"invalid parameter":             {[]string{`"a";X`}, nil},
		"invalid parameter before more": {[]string{`"a";=1, "b"`}, nil},
		"not ASCII":                     {[]string{"\"\u00fc\""}, nil},
	} {
		if got := Groups(tt.lines); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q: %q, want %q", name, tt.lines, got, tt.want)
		}
	}
}

// What a cache must support at least (RFC 9875, section 2): 32 groups of 32 characters.
func TestGroupsThatEveryCacheSupports(t *testing.T) {
	var list []string
	for i := range 32 {
		list = append(list, fmt.Sprintf(`"%032d"`, i))
	}
	tags, ok := tagsOf(http.Header{"Cache-Groups": {strings.Join(list, ", ")}})
	if !ok || len(tags) != 32 {
		t.Errorf("%d groups, %v, want 32", len(tags), ok)
	}
}

func TestTagsOfAllFields(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		want   []string
	}{
		"none":              {http.Header{}, nil},
		"words":             {http.Header{"Surrogate-Key": {" b  a\tc ", "d"}}, []string{"a", "b", "c", "d"}},
		"commas in a word":  {http.Header{"Surrogate-Key": {"a,b"}}, []string{"a,b"}},
		"list":              {http.Header{"Cache-Tag": {"b , a,,c d", "e"}}, []string{"a", "b", "c d", "e"}},
		"each once":         {http.Header{"Surrogate-Key": {"a a b"}, "Cache-Tag": {"b,c"}, "Cache-Groups": {`"c", "a"`}}, []string{"a", "b", "c"}},
		"case matters":      {http.Header{"Surrogate-Key": {"a A"}}, []string{"A", "a"}},
		"an invalid group":  {http.Header{"Surrogate-Key": {"a"}, "Cache-Groups": {"b"}}, []string{"a"}},
		"not another field": {http.Header{"Cache-Group-Invalidation": {`"a"`}, "Xkey": {"b"}}, nil},
	} {
		if got, ok := tagsOf(tt.header); !ok || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, tt.want)
		}
	}
}

// A purge by tag must find all that have it: what has too many or too long ones is not stored.
func TestBoundsOfTags(t *testing.T) {
	words := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "t%d ", i)
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		key string
		ok  bool
	}{
		"as many as may be":      {words(128), true},
		"one more":               {words(129), false},
		"many equal ones":        {strings.Repeat("same ", 1000), true},
		"as long as may be":      {strings.Repeat("x", 1024), true},
		"a byte longer":          {strings.Repeat("x", 1025), false},
		"a long one among short": {"a " + strings.Repeat("x", 1025) + " b", false},
	} {
		if _, ok := tagsOf(http.Header{"Surrogate-Key": {tt.key}}); ok != tt.ok {
			t.Errorf("%s: %v, want %v", name, ok, tt.ok)
		}
	}
}

// FuzzGroups: what is read can be written and read again, and a list is that of its lines.
func FuzzGroups(f *testing.F) {
	for _, seed := range [][2]string{{`"a", "b"`, `"c"`}, {`"a";x="1,2"`, ``}, {`"\"\\"`, `"a,b"`}, {`a`, `"b"`}, {`"a",`, `"b"`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		a, b := Groups([]string{first}), Groups([]string{second})
		if len(a) == 0 || len(b) == 0 {
			return
		}
		both := slices.Concat(a, b)
		if got := Groups([]string{first, second}); !slices.Equal(got, both) {
			t.Errorf("%q and %q: %q, want %q", first, second, got, both)
		}
		var list []string
		for _, group := range both {
			list = append(list, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(group)+`"`)
		}
		if got := Groups([]string{strings.Join(list, ", ")}); !slices.Equal(got, both) {
			t.Errorf("%q written as %q: %q", both, list, got)
		}
	})
}
