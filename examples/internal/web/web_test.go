package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/redishttp/redishttp/examples/internal/web"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"Ann":                         "Ann",
		"  Ann \t\n Lee ":             "Ann Lee",
		"Zoë 王 🎲":                     "Zoë 王 🎲",
		"<script>alert(1)</script":    "<script>alert(1)</script", // shown as it is, by who escapes
		"a\u202egnp":                  "agnp",                     // turns the rest of the line around
		"a \u200b\u200d b":            "a b",
		"Z\u0300\u0301\u0302\u0303a":  "Z\u0300\u0301a",
		"\u0300\u0301b":               "b",
		"nul\x00 bell\x07":            "nul bell",
		"":                            "",
		" \u200b\u2060 ":              "",
		"\xff\xfe":                    "",
		strings.Repeat("x", 24):       strings.Repeat("x", 24),
		strings.Repeat("x", 25):       "",
		strings.Repeat("x ", 13):      "",
		strings.Repeat("\u200b", 400): "",
	} {
		got, err := web.Name(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("Ann Lee")
	f.Add("\u202e \u0300 x")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := web.Name(s)
		if err != nil {
			return
		}
		if n := utf8.RuneCountInString(name); n == 0 || n > web.MaxName || name != strings.TrimSpace(name) {
			t.Errorf("%q became %q", s, name)
		}
		for _, c := range name {
			if !unicode.IsGraphic(c) {
				t.Errorf("%q became %q, with %U", s, name, c)
			}
		}
		if again, err := web.Name(name); again != name || err != nil {
			t.Errorf("%q became %q and then %q, %v", s, name, again, err)
		}
	})
}

func TestAssetsAreAskedForOnce(t *testing.T) {
	assets, err := web.Assets(fstest.MapFS{"static/a.js": {Data: []byte("let a")}}, "static")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /static/{file}", assets)
	get := func(path, etag string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		web.Secure(mux).ServeHTTP(w, r)
		return w.Result()
	}
	first := get("/static/a.js", "")
	if body, _ := io.ReadAll(first.Body); string(body) != "let a" || !strings.HasPrefix(first.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("got %q, %v", body, first.Header)
	}
	if again := get("/static/a.js", first.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same file again: %s", again.Status)
	}
	if css := get("/static/base.css", ""); css.StatusCode != http.StatusOK || !strings.HasPrefix(css.Header.Get("Content-Type"), "text/css") {
		t.Errorf("base.css: %s %v", css.Status, css.Header)
	}
	if none := get("/static/web.go", ""); none.StatusCode != http.StatusNotFound || none.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("no such file: %s %v", none.Status, none.Header)
	}
}

func TestDecode(t *testing.T) {
	for body, want := range map[string]int{
		`{"a":1}`:                                200,
		`{"a":1}{"a":2}`:                         400,
		`{"a":"x"}`:                              400,
		`{"a"`:                                   400,
		``:                                       400,
		`{"a":1,"b":"` + strings.Repeat("x", 99): 413,
	} {
		w := httptest.NewRecorder()
		var v struct{ A int }
		if web.Decode(w, httptest.NewRequest("POST", "/", strings.NewReader(body)), 64, &v) {
			web.JSON(w, 200, v)
		}
		if w.Code != want {
			t.Errorf("%q: got %d %s, want %d", body, w.Code, w.Body, want)
		}
		if w.Code != 200 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %v", body, w.Header())
		}
	}
}
