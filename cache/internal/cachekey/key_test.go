package cachekey

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func parsed(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// URLs in one row have one primary key, those in two rows have two (RFC 9111, section 2;
// RFC 9110, section 4.2.3). What a server may tell apart is never one.
func TestPrimaryKeys(t *testing.T) {
	of := map[string]string{}
	for _, row := range [][]string{
		{"http://example.com/", "http://example.com", "HTTP://EXAMPLE.com:80/", "http://example.com:/"},
		{"https://example.com/", "https://example.com:443/", "https://Example.Com:"},
		{"http://example.com:443/"},
		{"https://example.com:80/"},
		{"http://example.com:8080/"},
		{"http://example.com.evil/"},
		{"http://[::1]/", "http://[::1]:80/", "http://[::1]:"},
		{"http://[::1]:81/"},
		{"http://[2001:db8::a]/", "http://[2001:DB8::A]/"},
		{"http://example.com/a"},
		{"http://example.com/A"},
		{"http://example.com/a/"},
		{"http://example.com//a"},
		{"http://example.com/a?"},
		{"http://example.com/a?b"},
		{"http://example.com/a?B"},
		{"http://example.com/a?b="},
		{"http://example.com/a?b=1&c=2"},
		{"http://example.com/a?c=2&b=1"},
		{"http://example.com/a%3Fb"},
		{"http://example.com/a/b"},
		{"http://example.com/a%2Fb"},
		{"http://example.com/a%2fb"},
		{"http://example.com/a?b=%20"},
		{"http://example.com/a?b=+"},
		{"http://example.com/?b", "http://example.com?b", "http://example.com/?b#fragment"},
	} {
		first, err := ParseURL(row[0])
		if err != nil {
			t.Fatalf("%s: %v", row[0], err)
		}
		if other, taken := of[first]; taken {
			t.Errorf("%s and %s have one key", row[0], other)
		}
		of[first] = row[0]
		for _, raw := range row[1:] {
			if got, err := ParseURL(raw); err != nil || got != first {
				t.Errorf("%s has the key %q, %v, and %s has %q", raw, got, err, row[0], first)
			}
		}
	}
}

// A purge finds all spellings of a URL in a row, and concerns no URL of another row.
func TestPurgesFindAllSpellings(t *testing.T) {
	of := map[string]string{}
	for _, row := range [][]string{
		{
			"http://example.com/", "https://example.com", "http://EXAMPLE.COM:80", "https://example.com:443/", "http://example.com:443/", "http://example.com:/", "http://example.com./", "https://example.com.:443/",
			"http://example.com:080/", "http://example.com/?", "http://example.com/.", "http://example.com/..", "http://example.com/a/..", "http://example.com/%2e%2E/", "http://example.com/#x",
		},
		{"http://example.com:8080/", "https://EXAMPLE.com.:8080/./", "http://example.com:08080/"},
		{"http://example.com:8443/"},
		{"http://www.example.com/"},
		{"http://127.0.0.1/", "http://127.0.0.1:80/"},
		{"http://[::1]/", "https://[::1]:443", "http://[0:0:0:0:0:0:0:1]/", "http://[::0001]:80/"},
		{"http://[::1]:8080/", "http://[0::1]:8080/"},
		{"http://[2001:db8::a]/", "http://[2001:DB8:0::A]/"},
		{"http://example.com/a", "http://example.com/%61", "http://example.com/./a", "http://example.com/b/../a", "http://example.com/../a", "http://example.com/../../a", "http://example.com/x/y/../../a", "http://example.com/%2E/a", "http://example.com/.%2e/a"},
		{"http://example.com/a/", "http://example.com/a/.", "http://example.com/a/b/..", "http://example.com/a/b/../"},
		{"http://example.com//a"},
		{"http://example.com/A"},
		{"http://example.com/.a"},
		{"http://example.com/..a"},
		{"http://example.com/a.."},
		{"http://example.com/..."},
		{"http://example.com/a/b", "http://example.com/a%2fb", "http://example.com/a%2F%62"}, // coarser than a key
		{"http://example.com/ü", "http://example.com/%C3%BC", "http://example.com/%c3%bc"},
		{"http://example.com/a b", "http://example.com/a%20b"},
		{"http://example.com/a+b", "http://example.com/a%2Bb"},
		{"http://example.com/a%252Fb"},
		{"http://example.com/a%3Fb"},
		{"http://example.com/a?b"},
		{"http://example.com/a?b=c d", "http://example.com/a?b=c+d", "http://example.com/a?b=c%20d", "http://example.com/%61?%62=%63%20d"},
		{"http://example.com/a?b=c%2Bd"},
		{"http://example.com/a?b=%zz A", "http://example.com/a?b=%zz+%41", "http://example.com/a?%62=%zz%20%41"}, // one of them is no encoding
		{"http://example.com/a?b=141 ", "http://example.com/a?b=141%20"},
		{"http://example.com/a?b=%4", "http://example.com/a?%62=%4"},
		{"http://example.com/a?b=1&c=2"},
		{"http://example.com/a?c=2&b=1"},
		{"http://example.com/a?x=/../"},
		{"http://example.com/a?x=/"},
	} {
		id := func(raw string) string {
			target, err := ParseURL(raw)
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			return PurgeID(target)
		}
		first := id(row[0])
		if other, taken := of[first]; taken {
			t.Errorf("a purge of %s concerns %s", row[0], other)
		}
		of[first] = row[0]
		for _, raw := range row[1:] {
			if id(raw) != first {
				t.Errorf("a purge of %s does not find %s", row[0], raw)
			}
		}
	}
}

// The parts of a key, which are stored with an entry.
func TestPartsOfAPrimaryKey(t *testing.T) {
	for raw, want := range map[string][]string{
		"HTTP://Example.com:80":          {"http", "example.com", "/", ""},
		"https://[::A]:8443/a%2Fb?c=%20": {"https", "[::a]:8443", "/a%2Fb", "?c=%20"},
		"http://h/?":                     {"http", "h", "/", "?"},
	} {
		target, err := ParseURL(raw)
		if got := Split(target); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestHostsToCompare(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com:", "EXAMPLE.com.": "example.com:", "example.com:80": "example.com:", "example.com:443": "example.com:", "example.com:": "example.com:", "example.com.:080": "example.com:",
		"example.com:8080": "example.com:8080", "[::1]": "[::1]:", "::1": "[::1]:", "[::1]:443": "[::1]:", "[0::1]:90": "[::1]:90",
		"": ":", "localhost": "localhost:", "a_b": "a_b:",
	} {
		if got := PurgeHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestURLsThatNoKeyHas(t *testing.T) {
	for _, raw := range []string{
		"", "/a", "example.com/a", "//example.com/a", "ftp://example.com/a", "https:///a", "https://:443/a", "https:example.com", "mailto:a@example.com",
		"http://exämple.com/", "http://example.com:port/", "http://[::1/", "http://example.com/%zz", "http://a b/", "http://example.com/\x7f",
	} {
		if got, err := ParseURL(raw); !errors.Is(err, ErrURL) {
			t.Errorf("%q: %q, %v, want %v", raw, got, err, ErrURL)
		}
	}
	for raw, want := range map[string]string{
		"http://user:secret@example.com/a": Target("http", "example.com", parsed(t, "/a")), // who asks is no part of it
		"http://xn--exmple-cua.com/":       Target("http", "xn--exmple-cua.com", parsed(t, "/")),
	} {
		if got, err := ParseURL(raw); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", raw, got, err, want)
		}
	}
}

// Handlers behind http.StripPrefix see one path for many; the key has what the client sent.
func TestSentURL(t *testing.T) {
	for name, tt := range map[string]struct{ uri, prefix, want string }{
		"no prefix":         {"/page?q=1", "", "/page?q=1"},
		"a prefix":          {"/a/page?q=1", "/a", "/a/page?q=1"},
		"all but a slash":   {"/a/", "/a", "/a/"},
		"all of it":         {"/a?q", "/a", "/a?q"},
		"encoded rest":      {"/a/b%2Fc", "/a", "/a/b%2Fc"},
		"absolute form":     {"http://example.com/a/page", "/a", "/a/page"},
		"a byte to encode":  {`/a/"b`, "/a", "/a/%22b"},
		"two slashes":       {"//a/page", "//a", "//a/page"},
		"query with a path": {"/a/page?u=/b/page", "/a", "/a/page?u=/b/page"},
	} {
		var got *url.URL
		r := httptest.NewRequest("GET", "/", nil)
		u, err := url.ParseRequestURI(tt.uri)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.RequestURI = u, tt.uri
		before := ""
		http.StripPrefix(tt.prefix, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			before = r.URL.Path
			got = SentURL(r)
			if r.URL.Path != before {
				t.Errorf("%s: the handler's URL has become %v", name, r.URL)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if got == nil {
			t.Errorf("%s: the prefix was not there", name)
			continue
		}
		want := parsed(t, "http://example.com"+tt.want)
		if got.EscapedPath() != want.EscapedPath() || got.RawQuery != want.RawQuery || Target("http", "h", got) != Target("http", "h", want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	// Where the path has become another one, what the handler sees counts.
	for _, uri := range []string{"/a/other", "/x", "*", "", "%zz/page", "mailto:b/page"} {
		r := &http.Request{URL: parsed(t, "/b/page"), RequestURI: uri}
		if got := SentURL(r); got.Path != "/b/page" {
			t.Errorf("sent %q: %s, want /b/page", uri, got)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, parts := range [][]string{{"a"}, {""}, {"", ""}, {"a:b", "c"}, {"a", "b:c"}, {"\x01", "\x80\x01"}, {strings.Repeat("x", 127)}, {strings.Repeat("x", 128), "y"}, {strings.Repeat("x", 1<<15), ""}, {"http", "h", "/", "?"}} {
		if got := Split(Join(parts...)); !slices.Equal(got, parts) {
			t.Errorf("%.40q: %.40q", parts, got)
		}
	}
	for _, s := range []string{"\x02a", "\x80", "a", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01a\x05b"} {
		if got := Split(s); got != nil {
			t.Errorf("%q: %q, want none", s, got)
		}
	}
	// What is no primary key is purged by itself.
	if got, want := PurgeID(Join("http", "h", "/")), Digest(Join("http", "h", "/")); got != want {
		t.Errorf("of three parts: %s, want %s", got, want)
	}
	if PurgeID(Join("http", "h", "/", "", "more")) == PurgeID(Join("http", "h", "/", "")) {
		t.Error("a key of five parts is purged as one of four")
	}
}

func TestDigest(t *testing.T) {
	// The first 16 bytes of SHA-256 (FIPS 180-2, appendix B.1).
	if got, want := Digest("abc"), "ba7816bf8f01cfea414140de5dae2223"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzJoin: two lists of parts have one key only if they are one list, so no part that a
// client chooses can reach into another.
func FuzzJoin(f *testing.F) {
	for _, seed := range [][4]string{{"a:b", "c", "a", "b:c"}, {"", "a", "a", ""}, {"\x01", "b", "\x01\x01b", ""}, {"a", "", "a\x00", ""}} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if (Join(a, b) == Join(c, d)) != (a == c && b == d) {
			t.Errorf("%q, %q and %q, %q have one key", a, b, c, d)
		}
		if Join(a, b) == Join(a, b, c) || Join(a) == Join(c, d) && a != Join(c, d) && a != "" {
			t.Errorf("%q, %q: more parts have the same key", a, b)
		}
		if got := Split(Join(a, b, c, d)); !slices.Equal(got, []string{a, b, c, d}) {
			t.Errorf("%q, %q, %q, %q are split into %q", a, b, c, d, got)
		}
		if parts := Split(a); len(parts) > 0 && len(parts) < 5 && !slices.Equal(Split(Join(parts...)), parts) {
			t.Errorf("%q is split into %q", a, parts)
		}
	})
}

// FuzzSentURL: behind http.StripPrefix the URL is the one that was sent, however it was
// written, and whatever else the handler sees instead stays as it is.
func FuzzSentURL(f *testing.F) {
	for _, seed := range [][2]string{{"/a", "/page?q"}, {"/%61", "/b%2Fc"}, {"/a", "/\u00fc"}, {"http://h/a", "/b"}, {"", "*"}, {"//a", "//b"}, {"/a", ""}, {"/a", "/ b"}, {"/a?", "#"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, prefix, rest string) {
		r := &http.Request{RequestURI: prefix + rest}
		if u, err := url.ParseRequestURI(prefix + rest); err == nil && u.Opaque == "" && u.Path != "*" {
			r.URL = u
			cut, err := url.PathUnescape(prefix)
			if err != nil {
				cut = prefix
			}
			http.StripPrefix(cut, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := SentURL(r); got.EscapedPath() != u.EscapedPath() || got.RawQuery != u.RawQuery {
					t.Errorf("sent %q without %q: %v, want %v", prefix+rest, cut, got, u)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		}
		u, err := url.Parse(rest)
		if err != nil {
			return
		}
		r.URL = u
		before := *u
		got := SentURL(r)
		if *u != before {
			t.Errorf("sent %q: the URL of the handler has changed to %v", prefix+rest, u)
		}
		if !strings.HasSuffix(got.Path, u.Path) || got.RawQuery != u.RawQuery || got.Host != u.Host {
			t.Errorf("sent %q, handled %q: %v", prefix+rest, rest, got)
		}
	})
}

// FuzzPurgeID: case and a port that the scheme has make no other hash of a host, and one more
// encoding of a path none.
func FuzzPurgeID(f *testing.F) {
	for _, seed := range [][3]string{{"example.com", "/a", "b=c"}, {"[::1]", "/a/../b", ""}, {"a.b", "/%2e%2e/x", "%zz"}, {"1.2.3.4", "//x", "a+b"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, host, path, query string) {
		if path == "" || path[0] != '/' {
			return
		}
		u := &url.URL{Path: path, RawQuery: query}
		id := PurgeID(Target("http", host, u))
		var encoded strings.Builder
		for i := range len(path) {
			encoded.WriteString("%" + string("0123456789ABCDEF"[path[i]>>4]) + string("0123456789abcdef"[path[i]&15]))
		}
		all := &url.URL{Path: path, RawPath: encoded.String(), RawQuery: query}
		if got := PurgeID(Target("https", host, all)); got != id {
			t.Errorf("%q: another hash with all of its path %q encoded", host, path)
		}
		if strings.ContainsAny(host, ":[]") {
			return
		}
		others := []string{host + ":80", host + ":443", host + ":"}
		if strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == "" {
			others = append(others, strings.ToUpper(host))
		}
		for _, other := range others {
			if got := PurgeID(Target("http", other, u)); got != id {
				t.Errorf("%q: another hash than %q", other, host)
			}
		}
	})
}

// FuzzPurgedURL: a URL as a request has it and as it is written to be purged is one.
func FuzzPurgedURL(f *testing.F) {
	for _, seed := range [][2]string{{"example.com", "/a"}, {"EXAMPLE.com.", "/a%2Fb?q=%20"}, {"[::1]:443", "/%c3%a9"}, {"a:8080", "//x/../y"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, host, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil || u.Host != "" || u.Scheme != "" {
			return
		}
		full, err := url.Parse("https://" + host + uri)
		if err != nil || full.Host != host || full.Fragment != "" || full.RawQuery != u.RawQuery || full.Path != u.Path {
			return
		}
		raw, err := ParseURL("https://" + host + uri)
		if err != nil {
			return
		}
		if a, b := PurgeID(raw), PurgeID(Target("http", host, u)); a != b {
			t.Errorf("%q %q: a purge does not find it", host, uri)
		}
	})
}
