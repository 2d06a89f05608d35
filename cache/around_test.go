package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// say is a middleware that writes header lines before the next handler runs.
func say(lines ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, line := range lines {
				name, value, _ := strings.Cut(line, ": ")
				w.Header()[name] = append(w.Header()[name], value)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// late is a writer of an outer middleware that adds header lines when the header goes out.
type late struct {
	http.ResponseWriter
	lines []string
	done  bool
}

func (w *late) WriteHeader(status int) {
	if !w.done {
		w.done = true
		for _, line := range w.lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *late) Write(p []byte) (int, error) {
	if !w.done {
		w.WriteHeader(200)
	}
	return w.ResponseWriter.Write(p)
}

func sayLate(lines ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&late{w, lines, false}, r)
		})
	}
}

const old = "Last-Modified: Sat, 01 Nov 2025 00:00:00 GMT"

// What stands in the header around the cache counts as if the handler had said
// it, the most restrictive of all, over both versions of HTTP.
func TestWhatIsSaidAroundIsHeard(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	cases := []struct {
		around, own string // header lines, by |
		detail      string // "hit" for a second request that is a hit
	}{
		{"", old, "hit"},
		{"Cache-Control: private, no-store", old, "detail=no-store"},
		{"Cache-Control: private", old, "detail=private"},
		{"Cache-Control: no-cache", "Cache-Control: max-age=60", "detail=no-cache"},
		{"Cache-Control: no-store", "Cache-Control: max-age=60", "detail=no-store"},
		{"Cache-Control: no-store", "Cache-Control: no-store, must-understand, max-age=60", "detail=no-store"},
		{"cache-control: private", "Cache-Control: max-age=60", "detail=private"},
		{"Cache-Control: max-age=0", "Cache-Control: max-age=60", "detail=not-fresh"},
		{"Cache-Control: max-age=60", "Cache-Control: max-age=0", "detail=not-fresh"},
		{"Cache-Control: max-age=60", "Cache-Control: max-age=60", "hit"},
		{"Cache-Control: max-age=60", "X: y", "hit"}, // a lifetime set outside
		{"Expires: " + future, "X: y", "hit"},
		{"Expires: 0", "Cache-Control: max-age=60", "detail=not-fresh"},
		{"Pragma: no-cache", old, "fwd=stale"},
		{"Pragma: no-cache", "X: y", "detail=no-cache"},
		{"CDN-Cache-Control: no-store", "Cache-Control: max-age=60", "detail=no-store"},
		{"Cdn-Cache-Control: max-age=60", "X: y", "hit"},
		{"Set-Cookie: a=b", "Cache-Control: max-age=60", "detail=set-cookie"},
		{"set-cookie: a=b", "Cache-Control: max-age=60", "detail=set-cookie"},
		{"Vary: *", "Cache-Control: max-age=60", "detail=vary"},
		{"Vary: Cookie", "Cache-Control: max-age=60", "detail=vary"},
		{"Vary: Origin", "Cache-Control: max-age=60", "hit"},
		{"Content-Type: text/event-stream", "Cache-Control: max-age=60", "detail=event-stream"},
		{"Cache-Control: no-transform", "Cache-Control: max-age=60", "hit"},
		{"Cache-Control: no-cache, no-store, no-transform, must-revalidate, private, max-age=0|Pragma: no-cache|X-Accel-Expires: 0|Expires: Thu, 01 Jan 1970 00:00:00 UTC", old, "detail=no-store"}, // chi's NoCache
	}
	for _, h2 := range []bool{false, true} {
		for _, when := range []string{"before", "late"} {
			for _, tc := range cases {
				t.Run(fmt.Sprintf("http2=%v/%s/%s/%s", h2, when, tc.around, tc.own), func(t *testing.T) {
					middleware, want := say, tc.detail
					if when == "late" {
						if strings.HasPrefix(tc.around, "Expires") || strings.HasPrefix(tc.own, "X") || tc.around == "Pragma: no-cache" && tc.own == old {
							return // a lifetime that comes late is too late
						}
						middleware = sayLate
						if want != "hit" {
							want = "fwd=uri-miss"
						}
					}
					n := 0
					c := newCache(t, redistest.Standalone(t).Client(t))
					srv := server(t, h2, middleware(strings.Split(tc.around, "|")...)(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						n++
						for line := range strings.SplitSeq(tc.own, "|") {
							name, value, _ := strings.Cut(line, ": ")
							w.Header().Set(name, value)
						}
						fmt.Fprint(w, "page ", n)
					}))))
					status := ""
					for range 2 {
						resp, err := srv.Client().Get(srv.URL)
						if err != nil {
							t.Fatal(err)
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						status = resp.Header.Get("Cache-Status")
					}
					if !strings.Contains(status, want) {
						t.Errorf("second request: %s, want %s", status, want)
					}
				})
			}
		}
	}
}

// A stored page is not for a response that an outer middleware calls private,
// and what it selects by selects the page.
func TestWhatIsSaidAroundLaterRequestsIsHeard(t *testing.T) {
	outer := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if line := r.Header.Get("X-Say"); line != "" {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Set(name, value)
			}
			next.ServeHTTP(w, r)
		})
	}
	for line, want := range map[string]string{
		"":                                 "; hit",
		"Cache-Control: private":           "fwd=bypass; fwd-status=200; detail=private",
		"Cache-Control: private, no-store": "fwd=bypass; fwd-status=200; detail=no-store",
		"Cache-Control: no-cache":          "fwd=request",
		"Cache-Control: max-age=0":         "fwd=stale",
		"Cache-Control: max-age=600":       "; hit",
		"Expires: 0":                       "fwd=stale",
		"Pragma: no-cache":                 "fwd=request",
		"Vary: *":                          "fwd=bypass; fwd-status=200; detail=vary",
		"Vary: Accept-Language":            "fwd=vary-miss; fwd-status=200; stored",
		"Set-Cookie: a=b":                  "; hit",
	} {
		h := outer(newCache(t, redistest.Standalone(t).Client(t)).Handler(origin(200, "Cache-Control: max-age=60", "ETag: W/\"1\"")))
		do(h, "GET", "/")
		if w := do(h, "GET", "/", "X-Say: "+line); !strings.Contains(w.Header().Get("Cache-Status"), want) {
			t.Errorf("%q: %s, want %s", line, w.Header().Get("Cache-Status"), want)
		}
	}
}

// A language negotiation outside: each gets their own page, also of a refresh,
// which has no outer middlewares.
func TestVaryAroundSelects(t *testing.T) {
	testVaryAround(t)
	testVaryAround(t, cache.WithRefreshContext(func(context.Context) context.Context { return context.Background() }))
}

func testVaryAround(t *testing.T, opts ...cache.Option) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	c := newCache(t, rdb, append(opts, cache.WithKeyPrefix(prefix))...)
	var n atomic.Int64
	h := say("Vary: Accept-Language", "Cache-Control: max-age=60, stale-while-revalidate=600", "X-User: 7")(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Accept-Language"), " ", n.Add(1))
	})))
	ask := func(lang string) *httptest.ResponseRecorder { return do(h, "GET", "/", "Accept-Language: "+lang) }
	for _, tc := range []struct{ lang, want string }{{"en", "en 1"}, {"de", "de 2"}, {"en", "en 1"}, {"de", "de 2"}} {
		if w := ask(tc.lang); w.Body.String() != tc.want || fmt.Sprint(w.Header()["Vary"]) != "[Accept-Language]" {
			t.Errorf("%s: got %q, Vary %q, want %q", tc.lang, w.Body, w.Header()["Vary"], tc.want)
		}
	}
	older(t, rdb, prefix, 100*time.Second)
	redistest.Eventually(t, patience, func() bool { return !strings.HasSuffix(ask("de").Body.String(), " 2") }, "not refreshed")
	if w := ask("de"); !strings.HasPrefix(w.Body.String(), "de ") || w.Header().Get("Age") == "" {
		t.Errorf("after a refresh: %q, %s", w.Body, w.Header().Get("Cache-Status"))
	}
	if w := ask("en"); !strings.HasPrefix(w.Body.String(), "en ") {
		t.Errorf("after the refresh of another language: %q", w.Body)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "de")
	if resp, _, err := c.Lookup(t.Context(), r); err != nil || resp == nil || resp.Header.Get("X-User") != "" || resp.Header.Get("Cache-Control") != "" {
		t.Errorf("stored: %+v, %v", resp, err)
	}
}

// An outer Cache-Tag is purged by.
func TestTagsAroundArePurged(t *testing.T) {
	c := newCache(t, redistest.Standalone(t).Client(t))
	h := say("Surrogate-Key: shop")(c.Handler(origin(200, "Cache-Control: max-age=60", "Surrogate-Key: product-7")))
	do(h, "GET", "/")
	if err := c.PurgeTags(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if w := do(h, "GET", "/"); w.Body.String() != "body 2" {
		t.Errorf("after a purge: %s %q", w.Header().Get("Cache-Status"), w.Body)
	}
}

// A handler that overrides or deletes an outer prohibition does not lift it.
func TestAProhibitionAroundIsNotLifted(t *testing.T) {
	for name, handler := range map[string]func(http.Header){
		"overrides": func(h http.Header) { h.Set("Cache-Control", "public, max-age=60") },
		"deletes":   func(h http.Header) { h.Del("Cache-Control"); h.Set("Last-Modified", "Sat, 01 Nov 2025 00:00:00 GMT") },
		"targets":   func(h http.Header) { h.Set("CDN-Cache-Control", "max-age=60") },
	} {
		h := say("Cache-Control: no-store")(newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			handler(w.Header())
			io.WriteString(w, "page")
		})))
		for range 2 {
			if w := do(h, "GET", "/"); !strings.Contains(w.Header().Get("Cache-Status"), "detail=no-store") || w.Header().Get("Age") != "" {
				t.Errorf("%s: %s", name, w.Header().Get("Cache-Status"))
			}
		}
	}
}

// Names that are not canonical are seen as what they are.
func TestFieldNamesInAnyCase(t *testing.T) {
	for lines, want := range map[string]string{
		"set-cookie: a=b|cache-control: max-age=60":                           "detail=set-cookie",
		"cache-control: private|last-modified: Sat, 01 Nov 2025 00:00:00 GMT": "detail=private",
		"cache-control: max-age=60":                                           "; hit",
		"cache-control: max-age=60|VARY: cookie":                              "detail=vary",
		"CACHE-control: max-age=60|content-type: text/event-stream":           "detail=event-stream",
		"Cache-Control: max-age=60|cache-control: no-store":                   "detail=no-store",
		"cdn-cache-control: no-store|Cache-Control: max-age=60":               "detail=no-store",
		"expires: 0|ETag: \"1\"":                                              "fwd=stale",
	} {
		for _, h2 := range []bool{false, true} {
			srv := server(t, h2, newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for line := range strings.SplitSeq(lines, "|") {
					name, value, _ := strings.Cut(line, ": ")
					w.Header()[name] = []string{value}
				}
				io.WriteString(w, "page")
			})))
			status := ""
			for range 2 { // the body of the first ends when it is stored
				resp, err := srv.Client().Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				status = resp.Header.Get("Cache-Status")
			}
			if !strings.Contains(status, want) {
				t.Errorf("%s: %s, want %s", lines, status, want)
			}
		}
	}
}

// Request fields that an outer middleware wrote in another case: the handler
// gets them as they are, also in a refresh.
func TestRequestFieldNamesInAnyCase(t *testing.T) {
	auth, tenant := "authorization", "x-tenant" // not canonical
	raw := func(name, value string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header[name] = []string{value}
				next.ServeHTTP(w, r)
			})
		}
	}
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var mu sync.Mutex
	seen, n := "", 0
	inner := newCache(t, rdb, cache.WithKeyPrefix(prefix)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		seen = fmt.Sprint(r.Header[auth], r.Header[tenant], r.Header.Values(auth), r.Header.Values(tenant))
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
		w.Header().Set("Vary", "X-Tenant")
		fmt.Fprint(w, r.Header[tenant], n)
	}))
	if w := do(raw(auth, "Bearer 7")(inner), "GET", "/"); !strings.Contains(w.Header().Get("Cache-Status"), "detail=authorization") || seen != "[Bearer 7] [] [] []" {
		t.Errorf("%s; the handler saw %s", w.Header().Get("Cache-Status"), seen)
	}
	for _, tc := range [][2]string{{"a", "[a] 2"}, {"b", "[b] 3"}, {"a", "[a] 2"}} {
		if w := do(raw(tenant, tc[0])(inner), "GET", "/"); w.Body.String() != tc[1] {
			t.Errorf("tenant %s got %s", tc[0], w.Body)
		}
	}
	older(t, rdb, prefix, 100*time.Second)
	redistest.Eventually(t, patience, func() bool { return do(raw(tenant, "a")(inner), "GET", "/").Body.String() == "[a] 4" }, "not refreshed as what it was")
}

// What is added when the header of a validated response goes out counts too.
func TestWhatIsSaidLateAroundA304(t *testing.T) {
	c := newCache(t, redistest.Standalone(t).Client(t))
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "page")
	}))
	do(h, "GET", "/")
	for i, line := range []string{"Cache-Control: no-store", "Cache-Control: private", "Set-Cookie: a=b", "Vary: *", "X: y"} {
		w := do(sayLate(line)(h), "GET", "/", "Cache-Control: no-cache")
		if !strings.Contains(w.Header().Get("Cache-Status"), "fwd-status=304") {
			t.Fatal(w.Header())
		}
		if want := int64(1 + i/4); c.Stats().Fills != want {
			t.Errorf("%s: %d stored, want %d", line, c.Stats().Fills, want)
		}
	}
}

// A field to which the handler adds has on a hit, too, what an outer middleware
// says to this client; one that it sets does not.
func TestFieldsThatTheHandlerAddsTo(t *testing.T) {
	for _, opts := range [][]cache.Option{nil, {cache.WithNearTier(1<<20, time.Minute)}} {
		rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
		var n atomic.Int64
		inner := newCache(t, rdb, append(opts, cache.WithKeyPrefix(prefix))...).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			w.Header().Add("Cache-Control", "max-age=60, stale-while-revalidate=600")
			w.Header().Add("Content-Security-Policy", "img-src 'self'")
			w.Header().Set("X-Frame-Options", "SAMEORIGIN")
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") != "" && r.Header.Get("X-304") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "page ", n.Load())
		}))
		ask := func(user string, lines ...string) *httptest.ResponseRecorder {
			return do(say("Content-Security-Policy: default-src "+user, "X-Frame-Options: DENY", "Cache-Control: no-transform")(inner), "GET", "/", lines...)
		}
		check := func(when, user, status string, w *httptest.ResponseRecorder) {
			t.Helper()
			want := fmt.Sprintf("[default-src %s img-src 'self'] [SAMEORIGIN] [no-transform max-age=60, stale-while-revalidate=600]", user)
			if got := fmt.Sprint(w.Header()["Content-Security-Policy"], w.Header()["X-Frame-Options"], w.Header()["Cache-Control"]); got != want {
				t.Errorf("%s:\n got %s\nwant %s", when, got, want)
			}
			if !strings.Contains(w.Header().Get("Cache-Status"), status) {
				t.Errorf("%s: %s", when, w.Header().Get("Cache-Status"))
			}
		}
		check("miss", "a", "stored", ask("a"))
		check("hit", "b", "; hit", ask("b"))
		check("304", "c", "fwd-status=304; stored", ask("c", "Cache-Control: no-cache", "X-304: 1"))
		check("hit after a 304", "d", "; hit", ask("d"))
		if opts == nil {
			older(t, rdb, prefix, 100*time.Second)
			check("stale", "e", "; hit", ask("e"))
			redistest.Eventually(t, patience, func() bool { return !strings.Contains(ask("f").Header().Get("Cache-Status"), "ttl=-") }, "not refreshed")
			check("hit after a refresh", "g", "; hit", ask("g"))
		}
	}
}
