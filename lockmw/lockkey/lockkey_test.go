package lockkey_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/keypart"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

// keyOf is the key of a request for target that host is asked for.
func keyOf(t *testing.T, key lockmw.KeyFunc, method, target, host string) string {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Host = host
	k, err := key(r)
	if err != nil || k == "" {
		t.Errorf("%s %s: key %q, %v", method, target, k, err)
	}
	return k
}

// inside is Pattern, called as a handler inside mux calls it.
func inside(mux http.Handler) lockmw.KeyFunc {
	return func(r *http.Request) (key string, err error) {
		ran := false
		got := func(h *http.Request) { key, err = lockkey.Pattern(h); ran = true }
		mux.ServeHTTP(httptest.NewRecorder(), r.WithContext(withProbe(r.Context(), got)))
		if !ran {
			err = errors.New("no handler ran")
		}
		return key, err
	}
}

type probeKey struct{}

func withProbe(ctx context.Context, fn func(*http.Request)) context.Context {
	return context.WithValue(ctx, probeKey{}, fn)
}

func probe(r *http.Request) { r.Context().Value(probeKey{}).(func(*http.Request))(r) }

// shop has a pattern for each method, as most programs do, and of each form.
func shop() *http.ServeMux {
	mux := http.NewServeMux()
	for _, pattern := range []string{
		"GET /orders/{id}", "PUT /orders/{order}", "POST /orders/{id}", "DELETE /orders/{id}", "GET example.com/orders/{id}", "POST /orders/{id}/pay",
		"GET /files/{rest...}", "PUT /files/{path...}", "/static/", "GET /exact/{x}/{$}", "PUT /exact/{x}/", "/{$}",
	} {
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) { probe(r) })
	}
	return mux
}

// One resource has one key: a client cannot spell it otherwise, and its
// reader and its writer have one.
func TestOneThingHasOneKey(t *testing.T) {
	mux := shop()
	type ask struct{ method, target, host string }
	for name, tc := range map[string]struct{ asks []ask }{
		"escapes":        {asks: []ask{{"GET", "/orders/1", "a"}, {"GET", "/orders/%31", "a"}, {"GET", "/%6Frders/1", "a"}}},
		"hosts":          {asks: []ask{{"GET", "/orders/1", "a"}, {"GET", "/orders/1", "A"}, {"GET", "/orders/1", "a:80"}, {"GET", "/orders/1", "example.com"}, {"GET", "/orders/1", "example.com:8080"}}},
		"methods":        {asks: []ask{{"GET", "/orders/1", "a"}, {"HEAD", "/orders/1", "a"}, {"PUT", "/orders/1", "a"}, {"POST", "/orders/1", "a"}, {"DELETE", "/orders/%31", "a"}}},
		"a query":        {asks: []ask{{"GET", "/orders/1", "a"}, {"GET", "/orders/1?x=1", "a"}}},
		"the rest":       {asks: []ask{{"GET", "/files/a/b", "a"}, {"PUT", "/files/a/b", "a"}, {"PUT", "/files/a%2Fb", "a"}, {"GET", "/files/%61/b", "a"}}},
		"a subtree":      {asks: []ask{{"GET", "/static/a", "a"}, {"PUT", "/static/%61", "a"}}},
		"an exact path":  {asks: []ask{{"GET", "/exact/1/", "a"}, {"PUT", "/exact/1/", "a"}, {"PUT", "/exact/%31/", "a"}}},
		"nothing":        {asks: []ask{{"GET", "/", "a"}, {"PUT", "/", "b"}}},
		"an escaped /":   {asks: []ask{{"GET", "/orders/a%2Fb", "a"}, {"PUT", "/orders/a%2fb", "a"}}},
		"strange values": {asks: []ask{{"GET", "/orders/%C3%A4%20+%00", "a"}, {"PUT", "/orders/%c3%a4%20%2B%00", "a"}}},
	} {
		for by, key := range map[string]lockmw.KeyFunc{"Path": lockkey.Path, "Route": lockkey.Route(mux), "Pattern": inside(mux)} {
			first := keyOf(t, key, tc.asks[0].method, tc.asks[0].target, tc.asks[0].host)
			for _, a := range tc.asks[1:] {
				if got := keyOf(t, key, a.method, a.target, a.host); got != first {
					t.Errorf("%s, %s: %v has key %q, %v has %q", name, by, a, got, tc.asks[0], first)
				}
			}
		}
	}
	// What routers do not take for one, but many handlers do.
	for _, target := range []string{"/orders/1", "/orders/1/", "//orders/1", "/orders/./1", "/x/../orders/1", "/x/%2e%2e/orders/1", "/orders%2F1"} {
		if got := keyOf(t, lockkey.Path, "GET", target, "a"); got != "/orders/1" {
			t.Errorf("%s: got %q, want /orders/1", target, got)
		}
	}
}

// What is not one thing has not one key, and Route around a mux has that of
// Pattern inside.
func TestKeysDiffer(t *testing.T) {
	mux := shop()
	for by, key := range map[string]lockmw.KeyFunc{"Path": lockkey.Path, "Route": lockkey.Route(mux), "Pattern": inside(mux)} {
		seen := map[string]string{}
		for _, target := range []string{"/orders/1", "/orders/2", "/orders/%2531", "/orders/a%2Fb", "/orders/A", "/orders/a", "/files/", "/files/a", "/files/a/b", "/static/", "/static/a", "/static/a/b", "/exact/1/", "/exact/2/", "/"} {
			k := keyOf(t, key, "GET", target, "a")
			if seen[k] != "" {
				t.Errorf("%s: %s and %s have one key", by, target, seen[k])
			}
			seen[k] = target
		}
	}
	if _, err := lockkey.Pattern(httptest.NewRequest("GET", "/orders/1", nil)); !errors.Is(err, lockkey.ErrNoPattern) {
		t.Errorf("Pattern without a pattern: %v, want ErrNoPattern", err)
	}
	if got := keyOf(t, inside(mux), "PUT", "/orders/4711", "a"); got != keypart.Join("/orders/{}", "4711") {
		t.Errorf("the key is not as documented: %q", got)
	}
}

// Patterns of other routers, which adapters and chi set.
func TestPatternsOfOtherRouters(t *testing.T) {
	for _, tc := range []struct {
		pattern, target string
		values          map[string]string
		want            string
	}{
		{"/orders/{id:[0-9]{1,9}}", "/orders/7", map[string]string{"id": "7"}, keypart.Join("/orders/{}", "7")},
		{"/orders/{id}/{date:[^/]+}", "/orders/7/x", map[string]string{"id": "7", "date": "x"}, keypart.Join("/orders/{}/{}", "7", "x")},
		{"/files/*", "/files/a/b", map[string]string{"*": "a/b"}, keypart.Join("/files/", "a/b")},
		{"GET /files/{*...}", "/files/a/b", map[string]string{"*": "a/b"}, keypart.Join("/files/", "a/b")},
		{"GET /user_{name}", "/user_ann", map[string]string{"name": "ann"}, keypart.Join("/user_{}", "ann")},
		{"GET /users:batch", "/users:batch", nil, keypart.Join("/users:batch")},
		// Values that the router leaves as the client spells them, as chi does.
		{"/orders/{id}", "/orders/%31", map[string]string{"id": "%31"}, keypart.Join("/orders/{}", "1")},
		{"/x/{a}/{id}", "/x/%2531/%31", map[string]string{"a": "%2531", "id": "%31"}, keypart.Join("/x/{}/{}", "%31", "1")},
		{"/x/{a}/{id}", "/x/%2531/1", map[string]string{"a": "%31", "id": "1"}, keypart.Join("/x/{}/{}", "%31", "1")},
		{"/files/*", "/files/%61/b", map[string]string{"*": "%61/b"}, keypart.Join("/files/", "a/b")},
		{"/user_{name}", "/user_%61nn", map[string]string{"name": "%61nn"}, keypart.Join("/user_{}", "ann")},
		{"/user_{name}", "/user_%7B%7D", map[string]string{"name": "{}"}, keypart.Join("/user_{}", "{}")},
	} {
		r := httptest.NewRequest("GET", tc.target, nil)
		r.Pattern = tc.pattern
		for name, value := range tc.values {
			r.SetPathValue(name, value)
		}
		if got, err := lockkey.Pattern(r); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.pattern, got, err, tc.want)
		}
	}
}

func TestKeysWithMethodAndHost(t *testing.T) {
	method, host := lockkey.PerMethod(lockkey.Path), lockkey.PerHost(lockkey.Path)
	if a, b := keyOf(t, method, "GET", "/p", "a"), keyOf(t, method, "PUT", "/p", "a"); a == b {
		t.Error("PerMethod: GET and PUT have one key")
	}
	if a, b := keyOf(t, method, "GET", "/p", "a"), keyOf(t, method, "HEAD", "/p", "b"); a != b {
		t.Error("PerMethod: GET and HEAD have two keys")
	}
	if a, b := keyOf(t, host, "GET", "/p", "a"), keyOf(t, host, "GET", "/p", "b"); a == b {
		t.Error("PerHost: two hosts have one key")
	}
	for _, same := range []string{"A", "a:80", "a.", "A.:8080"} {
		if a, b := keyOf(t, host, "GET", "/p", "a"), keyOf(t, host, "PUT", "/p", same); a != b {
			t.Errorf("PerHost: a and %s have two keys", same)
		}
	}
	if a, b := keyOf(t, host, "GET", "/p", "[::1]"), keyOf(t, host, "GET", "/p", "[::1]:80"); a != b {
		t.Error("PerHost: an address has two keys")
	}
	bad := errors.New("bad")
	for _, key := range []lockmw.KeyFunc{lockkey.PerHost(func(*http.Request) (string, error) { return "", nil }), lockkey.PerMethod(func(*http.Request) (string, error) { return "x", bad })} {
		if k, _ := key(httptest.NewRequest("GET", "/", nil)); k != "" {
			t.Errorf("no key became %q", k)
		}
	}
}

// Whatever a client asks for, the key outside of a mux is that inside, and a
// path has one key however it is escaped.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"/orders/1", "/orders/%31", "/orders/a%2Fb", "/files/a/../b", "/files/%2e%2e/b", "/static/a%2Fb/c", "/exact/1/", "//", "/orders/%zz", "/files/a//b", "/%2F/orders/1", "/%2F"} {
		f.Add(seed)
	}
	mux := shop()
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, r.RequestURI = u, target
		in, err := inside(mux)(r)
		if err != nil {
			return // not found, or redirected
		}
		if out, err := lockkey.Route(mux)(r); err != nil || out != in {
			t.Errorf("%s: %q outside, %v, %q inside", target, out, err, in)
		}
		all := *u
		all.RawPath = ""
		for _, c := range []byte(u.Path) {
			all.RawPath += "%" + strings.ToUpper(hex(c))
		}
		escaped := r.Clone(r.Context())
		escaped.URL = &all
		a, _ := lockkey.Path(r)
		if b, _ := lockkey.Path(escaped); a != b || a == "" || a[0] != '/' {
			t.Errorf("%s: keys %q and %q", target, a, b)
		}
	})
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func TestRoutesHaveKeysOfTheirOwn(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}/pay", func(http.ResponseWriter, *http.Request) {})
	key := lockkey.Route(mux)
	seen := map[string]string{}
	for _, target := range []string{"/orders/1/pay", "/orders/2/pay", "/orders/a%2Fb/pay", "/nothing", "/nothing/else"} {
		k, err := key(httptest.NewRequest("POST", target, nil))
		if err != nil || k == "" || seen[k] != "" {
			t.Errorf("%s: key %q, %v, same as %s", target, k, err, seen[k])
		}
		seen[k] = target
	}
}

func TestPatternsWithTheSameValues(t *testing.T) {
	keys := map[string]string{}
	mux := http.NewServeMux()
	for _, pattern := range []string{"/a/{x}/{y...}", "/b/{x}/{$}", "/c"} {
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
			k, err := lockkey.Pattern(r)
			if err != nil || keys[k] != "" {
				t.Errorf("%s: %q, %v, same as %s", r.URL, k, err, keys[k])
			}
			keys[k] = r.URL.String()
		})
	}
	for _, target := range []string{"/a/1/2", "/a/1/2/3", "/a/12/", "/b/1/", "/b/2/", "/c"} {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
	}
	if len(keys) != 6 {
		t.Errorf("keys: %v", keys)
	}
}
