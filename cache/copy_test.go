package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// get asks a real server and reads the whole answer.
func get(t *testing.T, c *http.Client, method, url string, lines ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// A handler may change its request in place: what decides was taken before.
func TestAHandlerThatChangesItsRequest(t *testing.T) {
	cases := map[string]struct {
		change func(*http.Request)
		sends  []string
		first  []string // header lines of the first request
		second []string
		want   string // in the second one's Cache-Status
	}{
		"Authorization": {
			change: func(r *http.Request) { r.Header.Del("Authorization") },
			sends:  []string{"Cache-Control: max-age=60"}, first: []string{"Authorization: Bearer 7"}, want: "fwd=uri-miss",
		},
		"Cookie": {
			change: func(r *http.Request) { delete(r.Header, "Cookie") },
			sends:  []string{old}, first: []string{"Cookie: user=7"}, want: "fwd=uri-miss",
		},
		"Accept-Encoding": {
			change: func(r *http.Request) { r.Header.Del("Accept-Encoding") },
			sends:  []string{"Cache-Control: max-age=60", "Vary: Accept-Encoding"}, first: []string{"Accept-Encoding: gzip"}, second: []string{"Accept-Encoding: identity"}, want: "fwd=vary-miss",
		},
		"the map": {
			change: func(r *http.Request) { r.Header = http.Header{} },
			sends:  []string{"Cache-Control: max-age=60", "Vary: X-Tenant"}, first: []string{"X-Tenant: a"}, want: "fwd=vary-miss",
		},
		"the method": {
			change: func(r *http.Request) { r.Method = http.MethodPost },
			sends:  []string{"Cache-Control: max-age=60"}, want: "; hit",
		},
		"the URL": {
			change: func(r *http.Request) { r.URL.Path, r.Host = "/other", "other.example" },
			sends:  []string{"Cache-Control: max-age=60"}, want: "; hit",
		},
	}
	for name, tc := range cases {
		for _, h2 := range []bool{false, true} {
			srv := server(t, h2, newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tc.change(r)
				for _, line := range tc.sends {
					name, value, _ := strings.Cut(line, ": ")
					w.Header().Set(name, value)
				}
				io.WriteString(w, "page")
			})))
			get(t, srv.Client(), "GET", srv.URL, tc.first...)
			if resp, _ := get(t, srv.Client(), "GET", srv.URL, tc.second...); !strings.Contains(resp.Header.Get("Cache-Status"), tc.want) {
				t.Errorf("%s, http2=%v: %s, want %s", name, h2, resp.Header.Get("Cache-Status"), tc.want)
			}
		}
	}
}

// An unsafe request invalidates what it was sent to, whatever the handler made of it.
func TestAHandlerThatChangesAnUnsafeRequest(t *testing.T) {
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == http.MethodPost {
			r.URL.Path, r.Host, r.Method = "/x", "x", http.MethodGet
		}
		io.WriteString(w, "page")
	}))
	status := func() string { w := do(h, "GET", "/a"); return w.Header().Get("Cache-Status") }

	do(h, "GET", "/a")
	if got := status(); !strings.Contains(got, "hit") {
		t.Errorf("before a POST: %s", got)
	}
	do(h, "POST", "/a")
	if got := status(); strings.Contains(got, "hit") {
		t.Errorf("after a POST: %s", got)
	}
}

// A refresh decides by the request that set it off, too.
func TestARefreshWhoseHandlerChangesItsRequest(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	var n atomic.Int64
	h := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
		w.Header().Set("Vary", "Accept-Encoding")
		fmt.Fprint(w, r.Header.Get("Accept-Encoding"), " ", n.Add(1))
		r.Header.Del("Accept-Encoding")
	}))
	do(h, "GET", "/", "Accept-Encoding: gzip")
	older(t, rdb, prefix, 100*time.Second)
	redistest.Eventually(t, patience, func() bool { return do(h, "GET", "/", "Accept-Encoding: gzip").Body.String() == "gzip 2" }, "not refreshed as what it was")
	if w := do(h, "GET", "/"); strings.Contains(w.Body.String(), "gzip") {
		t.Errorf("gzip for a client that takes none: %s", w.Header().Get("Cache-Status"))
	}
}

// The handler works on the request itself: outer middlewares see what it set.
func TestTheHandlerGetsTheRequestItself(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("id")) })
	c := newCache(t, redistest.Standalone(t).Client(t))
	for _, around := range []string{"", "Vary: Origin"} {
		pattern, id := "", ""
		h := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if around != "" {
					w.Header().Set("Vary", "Origin")
				}
				next.ServeHTTP(w, r)
				pattern, id = r.Pattern, r.PathValue("id")
			})
		}(c.Handler(mux))
		if w := do(h, "GET", "/orders/7"); w.Body.String() != "7" || pattern != "GET /orders/{id}" || id != "7" {
			t.Errorf("around %q: %q, pattern %q, id %q", around, w.Body, pattern, id)
		}
	}
}

// A handler that is called once more, because its 304 was about another
// response, gets the request as it came.
func TestAHandlerThatIsCalledAgain(t *testing.T) {
	n := 0
	h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		page := r.URL.Path + r.URL.RawQuery + r.Header.Get("X-Tenant")
		r.Header.Del("X-Tenant")
		r.URL.Path, r.URL.RawQuery = "/", ""
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("ETag", `"other"`)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		io.WriteString(w, page)
	}))
	for _, line := range []string{"X: y", "Cache-Control: no-cache"} {
		if w := do(h, "GET", "/page?q", "X-Tenant: a", line); w.Body.String() != "/pageqa" {
			t.Errorf("%s: %q, %s", line, w.Body, w.Header().Get("Cache-Status"))
		}
	}
	if n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}
