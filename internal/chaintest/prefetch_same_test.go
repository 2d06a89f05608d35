package chaintest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// step is one request of the comparison, or something done between two requests.
type step struct {
	ask    string // METHOD /path
	header http.Header
	do     func(t *testing.T, s *site)
}

// site is the application of the comparison: a chain, with a browser.
type site struct {
	*trio
	h      http.Handler
	cookie string
	spent  string // a cookie that was rotated away
}

func newSite(t *testing.T, rdb redis.UniversalClient, off bool) *site {
	t.Helper()
	c := newTrio(t, rdb, trioOptions{
		off:     off,
		limiter: []ratelimit.Option{ratelimit.WithSkip(func(r *http.Request) bool { return r.URL.Path == "/unlimited" }), ratelimit.WithDenyCache(0, 0)},
		cache:   []cache.Option{cache.WithSkip(func(r *http.Request) bool { return r.URL.Path == "/uncached" })},
	})
	few := must(ratelimit.New(rdb, ratelimit.PerHour(2), ratelimit.WithKeyPrefix(redistest.Prefix(t)+"few"), ratelimit.WithPrefetch(!off),
		ratelimit.WithSkip(func(r *http.Request) bool { return r.URL.Path != "/few" })))
	s := &site{trio: c}
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.page(w, r) })
	member := c.sessions.Require(c.responses.Handler(pages))
	s.h = few.Handler(c.limiter.Handler(c.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/member" {
			member.ServeHTTP(w, r)
			return
		}
		c.responses.Handler(pages).ServeHTTP(w, r)
	}))))
	return s
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	ctx, m := r.Context(), s.sessions
	w.Header().Set("Cache-Control", "public, max-age=60")
	switch r.URL.Path {
	case "/login":
		if err := m.Login(ctx, "alice", "192.0.2.1", "browser"); err != nil {
			s.note("login: %v", err)
		}
	case "/rotate":
		if err := m.RenewToken(ctx); err != nil {
			s.note("rotate: %v", err)
		}
	case "/logout":
		if err := m.Destroy(ctx); err != nil {
			s.note("logout: %v", err)
		}
	case "/me":
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "you are ", m.User(ctx))
		return
	case "/tagged":
		w.Header().Set("Cache-Tag", "a, b")
	case "/vary":
		w.Header().Set("Vary", "Accept-Language, X-Mode")
		fmt.Fprint(w, r.Header.Get("Accept-Language"), r.Header.Get("X-Mode"), " ")
	case "/private":
		w.Header().Set("Cache-Control", "private")
	case "/etag":
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("0123456789"))
		return
	case "/missing":
		http.NotFound(w, r)
		return
	case "/panic":
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, "page ", r.URL)
}

// serve serves one request and returns what came of it.
func (s *site) serve(t *testing.T, st step) string {
	t.Helper()
	if st.do != nil {
		st.do(t, s)
		return ""
	}
	method, target, _ := strings.Cut(st.ask, " ")
	r := httptest.NewRequest(method, target, nil)
	maps.Copy(r.Header, st.header)
	if s.cookie != "" && r.Header.Get("Cookie") == "" {
		r.Header.Set("Cookie", s.cookie)
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil {
				s.note("panic: %v", p)
			}
		}()
		s.h.ServeHTTP(w, r)
	}()
	for _, c := range w.Result().Cookies() {
		if s.spent, s.cookie = s.cookie, c.Name+"="+c.Value; c.MaxAge < 0 {
			s.cookie = ""
		}
	}
	var b strings.Builder
	fmt.Fprintln(&b, w.Code, w.Body)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintln(&b, " ", name, w.Header()[name])
	}
	return b.String()
}

// changing is what differs from run to run.
var changing = regexp.MustCompile(`(ttl|t|r|took|max-age|Max-Age)=-?\d+|Age \[\d+\]|(session=|scs_session=)[A-Za-z0-9_-]{43}|Expires=[^;\]]*|t[0-9a-f]{8}\d+|Reset \[\d+\]|Date \[[^]]*\]|127.0.0.1:\d+|[0-9a-f]{32,}`)

func steps() []step {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	return []step{
		{ask: "GET /a"}, {ask: "GET /a"}, {ask: "HEAD /a"}, {ask: "HEAD /b"}, {ask: "GET /b"},
		{ask: "GET /login"}, {ask: "GET /a"}, {ask: "GET /me"}, {ask: "GET /me"}, {ask: "GET /member"}, {ask: "GET /member"},
		{ask: "GET /etag"}, {ask: "GET /etag", header: header("If-None-Match", `"1"`)}, {ask: "GET /etag", header: header("Range", "bytes=2-4")},
		{ask: "GET /etag", header: header("Range", "bytes=20-")}, {ask: "GET /etag", header: header("Cache-Control", "no-cache")},
		{ask: "GET /etag", header: header("Cache-Control", "only-if-cached")}, {ask: "GET /none", header: header("Cache-Control", "only-if-cached")},
		{ask: "GET /a", header: header("Cache-Control", "no-store")}, {ask: "GET /a", header: header("Authorization", "Bearer x")},
		{ask: "POST /a"}, {ask: "GET /a"}, {ask: "GET /a"}, {ask: "GET /private"}, {ask: "GET /private"}, {ask: "GET /missing"}, {ask: "GET /missing"},
		{ask: "GET /vary", header: header("Accept-Language", "de")}, {ask: "GET /vary", header: header("Accept-Language", "en")},
		{ask: "GET /vary", header: header("Accept-Language", "de")}, {ask: "GET /vary", header: header("Accept-Language", "de", "X-Mode", "dark")},
		{ask: "GET /vary", header: header("Accept-Language", "de", "X-Mode", "dark")}, {ask: "GET /vary", header: header("Accept-Language", "en")},
		{ask: "GET /tagged"}, {ask: "GET /tagged"},
		{do: func(t *testing.T, s *site) { redistest.NoErrors(t, s.responses.PurgeTags(t.Context(), "a")) }},
		{ask: "GET /tagged"}, {ask: "GET /tagged"},
		{do: func(t *testing.T, s *site) { redistest.NoErrors(t, s.responses.PurgeAll(t.Context())) }},
		{ask: "GET /tagged"}, {ask: "GET /a"}, {ask: "GET /a"},
		{ask: "GET /unlimited"}, {ask: "GET /unlimited"}, {ask: "GET /uncached"}, {ask: "GET /uncached"},
		{ask: "GET /few"}, {ask: "GET /few"}, {ask: "GET /few"}, {ask: "GET /few"},
		{ask: "GET /rotate"}, {ask: "GET /me"}, {ask: "GET /member"},
		{do: func(_ *testing.T, s *site) { s.cookie, s.spent = s.spent, s.cookie }}, {ask: "GET /me"}, {ask: "GET /member"},
		{do: func(_ *testing.T, s *site) { s.cookie, s.spent = s.spent, s.cookie }},
		{ask: "GET /me", header: header("Cookie", "session="+strings.Repeat("A", 43))},
		{ask: "GET /me", header: header("Cookie", "session=short")}, {ask: "GET /me", header: header("Cookie", "other=1")},
		{do: twoCookies}, {ask: "GET /me"}, {ask: "GET /member"}, {do: twoCookies},
		{ask: "GET /panic"}, {ask: "GET /me"},
		{do: spoil("garbage")}, {ask: "GET /me"}, {ask: "GET /me"}, {ask: "GET /login"}, {ask: "GET /me"},
		{do: spoil("")}, {ask: "GET /me"}, {ask: "GET /login"}, {ask: "GET /member"},
		{ask: "GET /logout"}, {ask: "GET /me"}, {ask: "GET /member"},
		{do: func(_ *testing.T, s *site) { s.cookie = s.spent }}, {ask: "GET /me"}, {ask: "GET /logout"},
	}
}

// twoCookies puts a cookie of the name that no session has before the browser's, or takes
// it away.
func twoCookies(_ *testing.T, s *site) {
	name, _, _ := strings.Cut(s.cookie, "=")
	other := name + "=" + strings.Repeat("B", 43) + "; "
	if rest, ok := strings.CutPrefix(s.cookie, other); ok {
		s.cookie = rest
		return
	}
	s.cookie = other + s.cookie
}

// spoil replaces the browser's session by a value that cannot be decoded, or for "" by a
// list.
func spoil(value string) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		_, token, _ := strings.Cut(s.cookie, "=")
		own, _ := s.sessions.KeyPrefixes()
		hash := sha256.Sum256([]byte(token))
		key := own + base64.RawURLEncoding.EncodeToString(hash[:])
		if n, err := s.rdb.Del(t.Context(), key).Result(); n != 1 || err != nil {
			t.Fatalf("the session is not at %s: %d, %v", key, n, err)
		}
		if value == "" {
			redistest.NoErrors(t, s.rdb.LPush(t.Context(), key, "a").Err())
			return
		}
		redistest.NoErrors(t, s.rdb.Set(t.Context(), key, value, 0).Err())
	}
}

// Rule 1: responses, headers, hooks and what is left in Redis are the same with
// prefetching and without, request by request.
func TestPrefetchChangesNothing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		with, without := newSite(t, rdb, false), newSite(t, rdb, true)
		for i, st := range steps() {
			got, want := with.serve(t, st), without.serve(t, st)
			if st.do != nil {
				continue
			}
			got += strings.Join(with.noted(), "\n")
			want += strings.Join(without.noted(), "\n")
			if got, want = changing.ReplaceAllString(got, "*"), changing.ReplaceAllString(want, "*"); got != want {
				t.Errorf("step %d, %s %v: got\n%s\nwant\n%s", i, st.ask, st.header, got, want)
			}
		}
		if used, off := with.responses.Stats().Prefetched, without.responses.Stats(); used == 0 || off.Prefetched+off.PrefetchedUnused != 0 {
			t.Errorf("prefetched %d with, %+v without", used, off)
		}
	})
}

// An outage is no different either.
func TestPrefetchChangesNoOutage(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	rdb := server.Target().Client(t, func(o *redis.UniversalOptions) { o.Addrs = []string{proxy.Addr()} })
	with, without := newSite(t, rdb, false), newSite(t, rdb, true)
	serve := func(when string, n int) {
		t.Helper()
		for i := range n {
			for _, ask := range []string{"GET /a", "GET /me", "GET /member"} {
				got, want := with.serve(t, step{ask: ask}), without.serve(t, step{ask: ask})
				with.noted()
				without.noted()
				got, want = changing.ReplaceAllString(got, "*"), changing.ReplaceAllString(want, "*")
				if retry := regexp.MustCompile(`Retry-After \[\d+\]|retry[^,}]*`); retry.ReplaceAllString(got, "*") != retry.ReplaceAllString(want, "*") {
					t.Errorf("%s, %d, %s: got\n%s\nwant\n%s", when, i, ask, got, want)
				}
			}
		}
	}
	for _, s := range []*site{with, without} {
		s.serve(t, step{ask: "GET /login"})
	}
	serve("before", 2)
	proxy.Refuse()
	serve("refused", 8) // more than a breaker counts to
	proxy.Heal()
	back := func(s *site) func() bool {
		return func() bool {
			w := s.serve(t, step{ask: "GET /member"})
			return strings.HasPrefix(w, "200") && !strings.Contains(w, "store-error")
		}
	}
	redistest.Eventually(t, Patience, back(with), "not back")
	redistest.Eventually(t, Patience, back(without), "not back")
}
