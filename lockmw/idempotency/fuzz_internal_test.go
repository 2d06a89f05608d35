package idempotency

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecodeResponse: what is in Redis may be anything. What can be read is what
// would be written.
func FuzzDecodeResponse(f *testing.F) {
	p := response{status: 201, fields: []field{{set, "Location", []string{"/1"}}, {added, "Vary", []string{"A", ""}}, {deleted, "X", nil}}, body: []byte("{}")}
	f.Add(p.encode())
	f.Add((&response{status: 204}).encode())
	f.Add([]byte{1, 200, 1, 255, 255, 255, 255, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeResponse(b)
		if err != nil {
			return
		}
		h := http.Header{"Vary": {"Origin"}}
		p.apply(h)
		again, err := decodeResponse(p.encode())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%q: got %+v, %v, want %+v", b, again, err, p)
		}
		if !keepable(p.status) || len(p.body) > len(b) {
			t.Errorf("%q: got %+v", b, p)
		}
	})
}

func TestResponsesSurviveTheStore(t *testing.T) {
	for _, p := range []response{
		{status: 200, body: []byte("a\x00b")},
		{status: 299, fields: []field{{set, "Content-Type", nil}, {set, "Empty", []string{""}}, {added, "Vary", []string{strings.Repeat("x", 300)}}}, body: bytes.Repeat([]byte("y"), 100_000)},
		{status: 304, fields: []field{{deleted, "X", nil}}, body: []byte{}},
	} {
		got, err := decodeResponse(p.encode())
		if err != nil || got.status != p.status || !bytes.Equal(got.body, p.body) || !reflect.DeepEqual(got.fields, p.fields) {
			t.Errorf("%d: got %+v, %v", p.status, got, err)
		}
		for cut := range min(40, len(p.encode())-len(p.body)) {
			if got, err := decodeResponse(p.encode()[:cut]); err == nil {
				t.Errorf("%d cut at %d: got %+v", p.status, cut, got)
			}
		}
	}
	for name, b := range map[string][]byte{"empty": {}, "another version": {2, 200, 1, 0}, "a 204 with a body": {1, 204, 1, 0, 'x'}, "an unknown change": {1, 200, 1, 1, 3, 1, 'A', 0}} {
		if got, err := decodeResponse(b); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// What a handler did to a header that middlewares further out write too comes
// out the same on another one.
func TestChangesOfAHeader(t *testing.T) {
	cases := []struct {
		name          string
		before        http.Header
		do            func(http.Header)
		later, expect http.Header // of a replay
	}{
		{"set", nil, func(h http.Header) { h.Set("A", "1") }, nil, http.Header{"A": {"1"}}},
		{"set over", http.Header{"A": {"0"}}, func(h http.Header) { h.Set("A", "1") }, http.Header{"A": {"2"}}, http.Header{"A": {"1"}}},
		{"added", http.Header{"Vary": {"Origin"}}, func(h http.Header) { h.Add("Vary", "Accept") }, http.Header{"Vary": {"Cookie", "Origin"}}, http.Header{"Vary": {"Cookie", "Origin", "Accept"}}},
		{"deleted", http.Header{"A": {"0"}}, func(h http.Header) { h.Del("A") }, http.Header{"A": {"2"}}, http.Header{}},
		{"none of the handler's", http.Header{"Request-Id": {"1"}}, func(http.Header) {}, http.Header{"Request-Id": {"2"}}, http.Header{"Request-Id": {"2"}}},
		{"no sniffing", nil, func(h http.Header) { h["Content-Type"] = nil }, nil, http.Header{"Content-Type": nil}},
		{"hop by hop", nil, func(h http.Header) {
			h.Set("Connection", "close, X-Hop")
			h.Set("X-Hop", "1")
			h.Set("Keep-Alive", "5")
			h.Set("Date", "then")
			h.Set("Etag", `"1"`)
		}, nil, http.Header{"Etag": {`"1"`}}},
	}
	for _, tc := range cases {
		h := tc.before.Clone()
		if h == nil {
			h = http.Header{}
		}
		tc.do(h)
		p := &response{status: 200, fields: changes(tc.before, h)}
		p, err := decodeResponse(p.encode())
		if err != nil {
			t.Fatal(err)
		}
		got := tc.later.Clone()
		if got == nil {
			got = http.Header{}
		}
		if p.apply(got); !reflect.DeepEqual(got, tc.expect) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.expect)
		}
	}
}

func TestParseKey(t *testing.T) {
	long := strings.Repeat("k", maxKey)
	for s, want := range map[string]string{
		`"8e03978e-40d5-43e8-bc93-6894a57f9324"`: "8e03978e-40d5-43e8-bc93-6894a57f9324",
		"8e03978e-40d5-43e8-bc93-6894a57f9324":   "8e03978e-40d5-43e8-bc93-6894a57f9324",
		"aGk=":                                   "aGk=",
		"a:b/c+d_e":                              "a:b/c+d_e",
		` "a b" `:                                "a b",
		`"a\"\\b"`:                               `a"\b`,
		long:                                     long,
		`"` + long + `"`:                         long,
	} {
		if got, ok := parseKey(s); !ok || got != want {
			t.Errorf("%q: got %q, %v, want %q", s, got, ok, want)
		}
	}
	for _, s := range []string{"", " ", `""`, `"a`, `a"`, `"a"b`, `"a";v=1`, "a;v=1", "a, b", `"a", "b"`, "a b", `"a\b"`, `"a\`, "\"\t\"", "ä", `"ä"`, "a\x7f", long + "k", `"` + long + `k"`, `"` + strings.Repeat(`\"`, maxKey) + `x"`} {
		if got, ok := parseKey(s); ok {
			t.Errorf("%q: got %q", s, got)
		}
	}
}

// FuzzParseKey: what is accepted is short and printable, quoted or not the same.
func FuzzParseKey(f *testing.F) {
	f.Add(`"a\"b"`)
	f.Add("8e03978e-40d5")
	f.Fuzz(func(t *testing.T, s string) {
		key, ok := parseKey(s)
		if !ok {
			return
		}
		if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q: got %q", s, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, ok := parseKey(quoted); !ok || again != key {
			t.Errorf("%q: quoted %q is %q", s, quoted, again)
		}
	})
}

// FuzzSpelledOneWay: all spellings of a path are one, and stay the same path.
func FuzzSpelledOneWay(f *testing.F) {
	for _, path := range []string{"/orders/%31", "/a%2fb", "/%", "/%2", "/%zz", "/%25%32%35", "/%C3%bc"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		one := spelledOneWay(path)
		if again := spelledOneWay(one); again != one && validEscapes(path) {
			t.Errorf("%q: %q, then %q", path, one, again)
		}
		before, err := url.PathUnescape(path)
		if after, err2 := url.PathUnescape(one); err == nil && (err2 != nil || before != after) {
			t.Errorf("%q is %q, and %q is %q, %v", path, before, one, after, err2)
		}
		if strings.Count(path, "/") != strings.Count(one, "/") {
			t.Errorf("%q: %q has other segments", path, one)
		}
	})
}

func validEscapes(path string) bool {
	_, err := url.PathUnescape(path)
	return err == nil
}

// FuzzDecodeReplies: no reply makes a panic, or a run that was not granted.
func FuzzDecodeReplies(f *testing.F) {
	f.Add(int64(1), int64(2), "p", strings.Repeat("f", sha256.Size), "kept", 2)
	f.Add(int64(0), int64(0), "d", "", "", 4)
	f.Fuzz(func(t *testing.T, code, n int64, s, print, kept string, size int) {
		for _, list := range [][]any{{code, n}, {code}, {code, s, print, kept}, {s, print, kept}, {code, nil, nil, nil}, {nil, nil, nil}, {s, n, code}, {code, s, print, n}} {
			list = list[:max(0, min(size, len(list)))]
			if rec, err := decodeBegin(list); err == nil && rec.mine && (code != 1 || rec.attempt < 1) {
				t.Errorf("%v: got %+v", list, rec)
			}
			if rec, err := decodeLook(list); err == nil && rec.state != stateNone && len(rec.fingerprint) != sha256.Size {
				t.Errorf("%v: got %+v", list, rec)
			}
		}
	})
}
