package cache_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Behind a proxy that ends TLS requests arrive as http, and people purge what
// stands in their browser, however they write it.
func TestAPurgeFindsItsURLHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, opts := range [][]cache.Option{nil, {cache.WithNearTier(1<<20, time.Minute), cache.WithVaryBy(func(r *http.Request) string { return r.Header.Get("X-Tenant") })}} {
			c := newCache(t, g.Client(t), opts...)
			h := c.Handler(origin(200, "Cache-Control: max-age=60"))
			purge, err := c.PurgeHandler(func(*http.Request) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			for request, urls := range map[string][]string{
				"http://example.com/a": {
					"https://example.com/a", "http://example.com/a", "HTTPS://EXAMPLE.com/a", "https://example.com:443/a", "http://example.com:80/a",
					"https://example.com./a", "https://example.com/%61", "https://example.com/a?", "https://example.com/a#part", "https://example.com/./a", "https://example.com/x/../a", "https://example.com/../a", "https://example.com/x/%2e%2E/a",
				},
				"http://example.com/a/../g/":          {"https://example.com/g/", "https://example.com/g/.", "https://example.com/g/h/.."},
				"https://example.com/b":               {"http://example.com/b", "https://example.com/b"},
				"http://example.com:443/c":            {"https://example.com/c"}, // a proxy that names its port
				"http://EXAMPLE.com./d":               {"https://example.com/d"},
				"http://example.com:8080/e":           {"https://example.com:8080/e"},
				"http://example.com":                  {"https://example.com/", "https://example.com"},
				"http://example.com/caf%c3%a9":        {"https://example.com/caf%C3%A9", "https://example.com/café"},
				"http://example.com/x(1)?q=a%20b&r=ä": {"https://example.com/x%281%29?q=a+b&r=%C3%A4"},
				"http://[::1]/f":                      {"https://[0:0::1]:443/f"},
			} {
				for _, url := range urls {
					do(h, "GET", request, "X-Tenant: a")
					if w := do(h, "GET", request, "X-Tenant: a"); w.Header().Get("Age") == "" {
						t.Fatalf("%s is not stored: %s", request, w.Header().Get("Cache-Status"))
					}
					if err := c.Purge(t.Context(), url); err != nil {
						t.Errorf("Purge(%q): %v", url, err)
					}
					if w := do(h, "GET", request, "X-Tenant: a"); w.Header().Get("Age") != "" {
						t.Errorf("%s is served after Purge(%q)", request, url)
					}
					w := httptest.NewRecorder()
					purge.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(fmt.Sprintf(`{"urls":[%q]}`, url))))
					if w.Code != http.StatusNoContent {
						t.Errorf("the handler, %q: got %d", url, w.Code)
					}
					if w := do(h, "GET", request, "X-Tenant: a"); w.Header().Get("Age") != "" {
						t.Errorf("%s is served after a purge request for %q", request, url)
					}
				}
			}
			do(h, "GET", "/other")
			for _, url := range []string{"https://example.com/other/", "https://example.com:8443/other", "https://example.org/other", "https://example.com/other?q"} {
				if err := c.Purge(t.Context(), url); err != nil {
					t.Error(err)
				}
			}
			if w := do(h, "GET", "/other"); w.Header().Get("Age") == "" {
				t.Error("a purge of another URL purged it")
			}
			for _, url := range []string{"https://bücher.example/", "https:///a", "example.com/a", "https://:443/"} {
				if err := c.Purge(t.Context(), url); err == nil {
					t.Errorf("Purge(%q) can find nothing and says nothing", url)
				}
			}
		}
	})
}

// An unsafe request invalidates what it names, with the scheme that the world sees.
func TestLocationNamesTheSchemeOfTheWorld(t *testing.T) {
	for _, at := range []string{"https://example.com/named", "http://example.com:80/named", "https://EXAMPLE.com:443/named", "//example.com./named"} {
		h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if w.Header().Set("Cache-Control", "max-age=60"); r.Method == http.MethodPost {
				w.Header().Set("Content-Location", at)
			}
			fmt.Fprint(w, "page")
		}))
		do(h, "GET", "/named")
		do(h, "POST", "/form")
		if w := do(h, "GET", "/named"); w.Header().Get("Age") != "" {
			t.Errorf("Content-Location: %s does not invalidate it", at)
		}
	}
}

// Only what a trusted proxy says decides on the scheme of a key.
func TestTheSchemeOfAKey(t *testing.T) {
	const proxy, client = "10.1.2.3:4711", "192.0.2.1:4711"
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	xfp, forwarded := cache.WithTrustedProxies("x-forwarded-proto", networks...), cache.WithTrustedProxies("Forwarded", networks...)
	byFunc := cache.WithScheme(func(r *http.Request) string { return r.Header.Get("X-Scheme") })
	cases := map[string]struct {
		opts []cache.Option
		peer string
		line string
		want string
	}{
		"nothing said":            {nil, proxy, "", "http"},
		"no option":               {nil, proxy, "X-Forwarded-Proto: https", "http"},
		"the proxy":               {[]cache.Option{xfp}, proxy, "X-Forwarded-Proto: https", "https"},
		"the proxy, in capitals":  {[]cache.Option{xfp}, proxy, "X-Forwarded-Proto: HTTPS", "https"},
		"mapped":                  {[]cache.Option{xfp}, "[::ffff:10.1.2.3]:1", "X-Forwarded-Proto: https", "https"},
		"version 6":               {[]cache.Option{xfp}, "[fd00::1]:1", "X-Forwarded-Proto: https", "https"},
		"a client":                {[]cache.Option{xfp}, client, "X-Forwarded-Proto: https", "http"},
		"no address":              {[]cache.Option{xfp}, "@", "X-Forwarded-Proto: https", "http"},
		"another field":           {[]cache.Option{xfp}, proxy, "Forwarded: proto=https", "http"},
		"appended":                {[]cache.Option{xfp}, proxy, "X-Forwarded-Proto: https, http", "http"},
		"nonsense":                {[]cache.Option{xfp}, proxy, "X-Forwarded-Proto: gopher", "http"},
		"forwarded":               {[]cache.Option{forwarded}, proxy, `Forwarded: for=192.0.2.1;Proto="https";by=_x`, "https"},
		"forwarded, appended":     {[]cache.Option{forwarded}, proxy, "Forwarded: proto=http, for=x;proto=https", "https"},
		"forwarded, quoted":       {[]cache.Option{forwarded}, proxy, `Forwarded: proto=https;host="a, proto=http;x"`, "https"},
		"forwarded, quoted quote": {[]cache.Option{forwarded}, proxy, `Forwarded: proto=https;host="a\",proto=http"`, "https"},
		// A client left a quote open; the proxy appended its element.
		"forwarded, left open":    {[]cache.Option{forwarded}, proxy, `Forwarded: host="a, for=192.0.2.1;proto=https`, "https"},
		"forwarded, open, quoted": {[]cache.Option{forwarded}, proxy, `Forwarded: for="x, for=192.0.2.1;host="a,proto=http;b";proto=https`, "https"},
		"forwarded, not closed":   {[]cache.Option{forwarded}, proxy, `Forwarded: proto=https;host="a`, "http"},
		"forwarded, twice":        {[]cache.Option{forwarded}, proxy, "Forwarded: proto=https;proto=http", "http"},
		"forwarded, from without": {[]cache.Option{forwarded}, client, "Forwarded: proto=https", "http"},
		"a function":              {[]cache.Option{byFunc, xfp}, proxy, "X-Scheme: https", "https"},
		"a function, nothing":     {[]cache.Option{byFunc}, proxy, "", "http"},
	}
	rdb := redistest.Standalone(t).Client(t)
	for name, tc := range cases {
		c := newCache(t, rdb, tc.opts...)
		r := httptest.NewRequest("GET", "/page", nil)
		r.RemoteAddr = tc.peer
		if field, value, ok := strings.Cut(tc.line, ": "); ok {
			r.Header.Set(field, value)
		}
		x, err := c.Explain(t.Context(), r)
		if err != nil || x.URL != tc.want+"://example.com/page" {
			t.Errorf("%s: got %q, %v, want %s", name, x.URL, err, tc.want)
		}
	}
	for name, opt := range map[string]cache.Option{
		"no network":    cache.WithTrustedProxies("Forwarded"),
		"all":           cache.WithTrustedProxies("Forwarded", netip.MustParsePrefix("0.0.0.0/0")),
		"another field": cache.WithTrustedProxies("Host", networks...),
		"none":          cache.WithTrustedProxies("Forwarded", netip.Prefix{}),
	} {
		var wrong *cache.OptionError
		if _, err := cache.New(rdb, opt); !errors.As(err, &wrong) || wrong.Option != "WithTrustedProxies" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Under a handler that cuts a prefix off, keys and purges have the URL as sent.
func TestAPrefixThatIsCutOff(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		c := newCache(t, redistest.Standalone(t).Client(t))
		mux := http.NewServeMux()
		for _, prefix := range []string{"/a", "/b", "/é"} {
			n := 0
			mux.Handle(prefix+"/", http.StripPrefix(prefix, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					w.Header().Set("Location", r.Header.Get("X-Location"))
					return
				}
				n++
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, prefix, " ", r.URL, " ", n)
			}))))
		}
		srv := server(t, h2, mux)
		read := func(path, want string) {
			t.Helper()
			if _, body := get(t, srv.Client(), "GET", srv.URL+path); body != want {
				t.Errorf("http2=%v, %s: %q, want %q", h2, path, body, want)
			}
		}
		read("/a/page?q", "/a /page?q 1")
		read("/b/page?q", "/b /page?q 1")
		read("/%C3%A9/page?q", "/é /page?q 1")
		read("/a/page?q", "/a /page?q 1")
		if err := c.Purge(t.Context(), srv.URL+"/a/page?q"); err != nil {
			t.Fatal(err)
		}
		read("/a/page?q", "/a /page?q 2")
		read("/b/page?q", "/b /page?q 1")
		get(t, srv.Client(), "POST", srv.URL+"/b/page?q")
		read("/b/page?q", "/b /page?q 2")
		for i, location := range []string{"/a/page?q", "page?q", "../a/page?q"} {
			get(t, srv.Client(), "POST", srv.URL+"/a/other", "X-Location: "+location)
			read("/a/page?q", fmt.Sprint("/a /page?q ", 3+i))
		}
	}
}
