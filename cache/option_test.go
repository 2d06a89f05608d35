package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Options that say what is stored and under which key: two requests each, and
// whether the second is answered from the store.
func TestOptionsOfTheKeyAndTheLifetime(t *testing.T) {
	tenant := func(r *http.Request) string { return r.Header.Get("X-Tenant") }
	admin := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/admin") }
	modified := "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT"
	cases := map[string]struct {
		opts          []cache.Option
		lines         []string // of the response
		first, second string   // a field of the request
		path          string
		hit           bool
	}{
		"default TTL":                  {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, nil, "", "", "/", true},
		"default TTL, own directives":  {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, []string{"Cache-Control: private"}, "", "", "/", false},
		"default TTL, own lifetime":    {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, []string{"Expires: 0"}, "", "", "/", false},
		"default TTL, a cookie":        {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, nil, "Cookie: a", "", "/", false},
		"default TTL, a cookie later":  {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, nil, "", "Cookie: a", "/", false},
		"default TTL, authorization":   {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, nil, "Authorization: a", "", "/", false},
		"default TTL, authorized":      {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, nil, "", "Authorization: a", "/", false},
		"default TTL, public":          {[]cache.Option{cache.WithDefaultTTL(time.Minute)}, []string{"Cache-Control: public", modified}, "Cookie: a", "Cookie: b", "/", true},
		"none":                         {nil, nil, "", "", "/", false},
		"heuristic":                    {nil, []string{modified}, "", "", "/", true},
		"no heuristic":                 {[]cache.Option{cache.WithHeuristicFreshness(false)}, []string{modified}, "", "", "/", false},
		"vary, the same":               {[]cache.Option{cache.WithVary("x-lang")}, []string{"Cache-Control: max-age=60"}, "X-Lang: de", "X-Lang: de", "/", true},
		"vary, another":                {[]cache.Option{cache.WithVary("x-lang")}, []string{"Cache-Control: max-age=60"}, "X-Lang: de", "X-Lang: en", "/", false},
		"key, the same":                {[]cache.Option{cache.WithVaryBy(tenant)}, []string{"Cache-Control: max-age=60"}, "X-Tenant: a", "X-Tenant: a", "/", true},
		"key, another":                 {[]cache.Option{cache.WithVaryBy(tenant)}, []string{"Cache-Control: max-age=60"}, "X-Tenant: a", "X-Tenant: b", "/", false},
		"bypass":                       {[]cache.Option{cache.WithSkip(admin)}, []string{"Cache-Control: max-age=60"}, "", "", "/admin", false},
		"no bypass":                    {[]cache.Option{cache.WithSkip(admin)}, []string{"Cache-Control: max-age=60"}, "", "", "/page", true},
		"vary: cookie":                 {nil, []string{"Cache-Control: max-age=60", "Vary: Cookie"}, "Cookie: a", "Cookie: a", "/", false},
		"vary: cookie, allowed":        {[]cache.Option{cache.WithVaryCookie(true)}, []string{"Cache-Control: max-age=60", "Vary: Cookie"}, "Cookie: a", "Cookie: a", "/", true},
		"vary: cookie, another":        {[]cache.Option{cache.WithVaryCookie(true)}, []string{"Cache-Control: max-age=60", "Vary: Cookie"}, "Cookie: a", "Cookie: b", "/", false},
		"another target":               {[]cache.Option{cache.WithTargets("x-edge-control")}, []string{"Cache-Control: no-store", "X-Edge-Control: max-age=60"}, "", "", "/", true},
		"no target":                    {[]cache.Option{cache.WithTargets()}, []string{"Cache-Control: no-store", "CDN-Cache-Control: max-age=60"}, "", "", "/", false},
		"languages in another order":   {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language"}, "Accept-Language: de;q=0.5, en", "Accept-Language: EN,de;q=0.50", "/", true},
		"languages in another weight":  {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language"}, "Accept-Language: de;q=0.5, en", "Accept-Language: de, en;q=0.5", "/", false},
		"the language liked best":      {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de"}, "Accept-Language: en, de", "Accept-Language: fr;q=0.5, de", "/", true},
		"another liked best":           {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de"}, "Accept-Language: en, de", "Accept-Language: fr, de;q=0.5", "/", false},
		"none liked best":              {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de"}, "Accept-Language: de", "Accept-Language: de, en", "/", false},
		"best, and another field":      {nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language, X-Tenant", "Content-Language: de"}, "X-Tenant: a", "X-Tenant: b", "/", false},
		"authorization":                {nil, []string{"Cache-Control: max-age=60"}, "Authorization: a", "Authorization: b", "/", false},
		"authorization, public":        {nil, []string{"Cache-Control: public, max-age=60"}, "Authorization: a", "Authorization: b", "/", true},
		"authorization after anybody":  {nil, []string{"Cache-Control: max-age=60"}, "", "Authorization: b", "/", false},
		"body above the bound":         {[]cache.Option{cache.WithMaxBody(3)}, []string{"Cache-Control: max-age=60"}, "", "", "/", false},
		"lifetime above the bound":     {[]cache.Option{cache.WithMaxTTL(time.Second)}, []string{"Cache-Control: max-age=60"}, "", "", "/", true},
		"not collapsed, stored anyway": {[]cache.Option{cache.WithCollapseTimeout(0)}, []string{"Cache-Control: max-age=60"}, "", "", "/", true},
	}
	rdb := redistest.Standalone(t).Client(t)
	for name, tc := range cases {
		h := newCache(t, rdb, tc.opts...).Handler(origin(200, tc.lines...))
		ask := func(line string) *httptest.ResponseRecorder {
			if line == "" {
				return do(h, "GET", tc.path)
			}
			return do(h, "GET", tc.path, line)
		}
		ask(tc.first)
		w := ask(tc.second)
		if hit := w.Body.String() == "body 1"; hit != tc.hit {
			t.Errorf("%s: got %q, hit %v, want %v: %s", name, w.Body, hit, tc.hit, w.Header().Get("Cache-Status"))
		}
	}
}

// A hit is one round trip, with Vary and tags too; a miss is one before the
// handler and one after it.
func TestRoundTrips(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		h := newCache(t, rdb).Handler(origin(200, "Cache-Control: max-age=60", "Vary: Accept", "Surrogate-Key: a b c d e"))
		do(h, "GET", "/warm") // a log is begun, connections are there
		if g.Name == "cluster" {
			for i := range 200 {
				do(h, "GET", fmt.Sprint("/warm", i))
			}
		}
		count := redistest.Count(rdb)
		check := func(what string, want int) {
			t.Helper()
			if got := count.Trips(); got != want {
				t.Errorf("%s: %d round trips, want %d: %v", what, got, want, count.Commands())
			}
			count.Reset()
		}
		do(h, "GET", "/warm7")
		count.Reset()
		for range 10 {
			if w := do(h, "GET", "/warm7"); w.Header().Get("Age") == "" {
				t.Fatalf("no hit: %s", w.Header().Get("Cache-Status"))
			}
		}
		check("ten hits", 10)
		do(h, "GET", "/warm7?missing")
		if g.Name == "cluster" {
			count.Reset() // its bucket's log may have to be begun
			return
		}
		check("a miss", 2)
	})
}

// Close ends what runs in the background and leaves nothing.
func TestCloseLeavesNothing(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var s site
	c := newCache(t, rdb, cache.WithKeyPrefix(prefix))
	h := c.Handler(&s)
	s.set(answering("page", "Cache-Control: max-age=60, stale-while-revalidate=60"))
	do(h, "GET", "/")
	older(t, rdb, prefix, 90*time.Second)
	ended := make(chan error, 1)
	s.set(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	})
	do(h, "GET", "/")
	redistest.Eventually(t, patience, func() bool { return s.calls.Load() == 2 }, "no refresh")
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the refresh was not told to end")
		}
	default:
		t.Error("Close did not wait for the refresh")
	}
	s.set(answering("after", "Cache-Control: max-age=60, stale-while-revalidate=60"))
	want(t, do(h, "GET", "/"), 200, "page", "hit; ttl=-") // served, not refreshed
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls: a refresh began after Close", n)
	}
}
