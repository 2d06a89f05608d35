package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

// app is a handler over a manager, and a browser with one cookie.
type app struct {
	*session.Manager
	t      testing.TB
	prefix string
	h      http.Handler
	cookie string // name=value

	mu     sync.Mutex
	failed []error
}

func newApp(t testing.TB, rdb redis.UniversalClient, opts ...session.Option) *app {
	t.Helper()
	a := &app{t: t, prefix: redistest.Prefix(t)}
	m, err := session.New(rdb, append([]session.Option{
		session.WithKeyPrefix(a.prefix), session.WithTimeouts(5*time.Second, 5*time.Second),
		session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.failed = append(a.failed, err)
		}}),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	a.Manager = m
	mux := http.NewServeMux()
	mux.HandleFunc("/static", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "static") })
	mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), r.FormValue("k"), r.FormValue("v"))
		io.WriteString(w, "put")
	})
	mux.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, m.GetString(r.Context(), r.FormValue("k")))
	})
	mux.HandleFunc("/renew", func(w http.ResponseWriter, r *http.Request) {
		if err := m.RenewToken(r.Context()); err != nil {
			t.Errorf("renew: %v", err)
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Destroy(r.Context()); err != nil {
			http.Error(w, "logout failed", 500)
		}
	})
	a.h = m.Handler(mux)
	return a
}

func (a *app) request(h http.Handler, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if a.cookie != "" {
		r.Header.Set("Cookie", a.cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if a.cookie = c.Name + "=" + c.Value; c.MaxAge < 0 {
			a.cookie = ""
		}
	}
	return w
}

func (a *app) get(target string) *httptest.ResponseRecorder { return a.request(a.h, target) }

func (a *app) token() string { _, token, _ := strings.Cut(a.cookie, "="); return token }

func (a *app) want(target string, status int, body string) {
	a.t.Helper()
	if w := a.get(target); w.Code != status || w.Body.String() != body {
		a.t.Errorf("%s: got %d %q, want %d %q", target, w.Code, w.Body, status, body)
	}
}

func (a *app) keys(rdb redis.UniversalClient) (all []string) {
	each := func(c *redis.Client) {
		keys, err := c.Keys(a.t.Context(), a.prefix+"*").Result()
		if err != nil {
			a.t.Error(err)
		}
		a.mu.Lock()
		all = append(all, keys...)
		a.mu.Unlock()
	}
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		cluster.ForEachMaster(a.t.Context(), func(_ context.Context, c *redis.Client) error { each(c); return nil })
	} else {
		each(rdb.(*redis.Client))
	}
	return all
}

func (a *app) failures() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.failed)
}

func TestLoginUseLogout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		a := newApp(t, rdb)
		w := a.get("/put?k=user&v=alice")
		want := regexp.MustCompile(`^__Host-session=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; Secure; SameSite=Lax$`)
		if got := w.Header().Values("Set-Cookie"); len(got) != 1 || !want.MatchString(got[0]) {
			t.Fatalf("new session: Set-Cookie %q", got)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Vary") != "Cookie" {
			t.Errorf("headers: %v", w.Header())
		}
		keys := a.keys(rdb)
		if len(keys) != 1 || strings.Contains(keys[0], a.token()) {
			t.Errorf("keys: got %v, want one without the token", keys)
		}
		if ttl := rdb.PTTL(t.Context(), keys[0]).Val(); ttl > 30*time.Minute || ttl < 29*time.Minute {
			t.Errorf("TTL: got %v, want the idle time", ttl)
		}
		a.want("/get?k=user", 200, "alice")

		old := a.cookie
		a.get("/renew")
		if a.cookie == old || len(a.keys(rdb)) != 1 {
			t.Errorf("after rotation: same cookie %v, keys %v", a.cookie == old, a.keys(rdb))
		}
		a.want("/get?k=user", 200, "alice")
		renewed := a.cookie
		a.cookie = old
		a.want("/get?k=user", 200, "")
		a.cookie = renewed

		w = a.get("/logout")
		if got, want := w.Header().Get("Set-Cookie"), "__Host-session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"; got != want {
			t.Errorf("removal:\n got %s\nwant %s", got, want)
		}
		a.cookie = renewed
		a.want("/get?k=user", 200, "")
		if got := a.keys(rdb); len(got) != 0 {
			t.Errorf("after logout: keys %v", got)
		}
		hash := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
		a.cookie = "__Host-session=" + hash
		a.want("/get?k=user", 200, "")
	})
}

func TestNothingUsedNothingPaid(t *testing.T) {
	for _, topology := range []func(testing.TB) *redistest.Target{redistest.Standalone, redistest.Cluster} {
		g := topology(t)
		t.Run(g.Name, func(t *testing.T) {
			rdb := g.Client(t)
			a := newApp(t, rdb)
			for range 8 { // every master learns the script of guarded saves
				a.cookie = ""
				a.get("/put?k=a&v=0")
				a.get("/put?k=a&v=1")
			}
			count := redistest.Count(rdb)
			check := func(what, want string) {
				t.Helper()
				if got := fmt.Sprint(count.Trips(), count.Commands()); got != want {
					t.Errorf("%s: %s, want %s", what, got, want)
				}
				count.Reset()
			}
			if w := a.get("/static"); len(w.Header()["Vary"])+len(w.Header()["Set-Cookie"])+len(w.Header()["Cache-Control"]) != 0 {
				t.Errorf("an untouched session leaves headers: %v", w.Header())
			}
			check("untouched", "0 map[]")
			for range 100 {
				if w := a.get("/get?k=a"); w.Header().Get("Set-Cookie") != "" {
					t.Fatal("reading sets a cookie")
				}
			}
			check("100 reads", "100 map[get:100]")
			a.get("/put?k=a&v=1") // the first finds out whether the server has SET … IFEQ
			count.Reset()
			a.get("/put?k=a&v=2")
			save := "evalsha:1 get:1"
			if count.Commands()["set"] > 0 {
				save = "get:1 set:1"
			}
			check("write", "2 map["+save+"]")
			good := a.cookie
			for _, junk := range []string{"__Host-session=short", "__Host-session=" + strings.Repeat("a", 60_000), "__Host-session=" + strings.Repeat("é", 43), "other=1", `__Host-session="` + a.token() + `x"`} {
				a.cookie = junk
				a.want("/get?k=a", 200, "")
			}
			check("junk cookies", "0 map[]")
			a.cookie = "__Host-session=" + strings.Repeat("a", 43) + "; " + good // the first of two is unknown
			a.want("/get?k=a", 200, "2")
		})
	}
}

func TestIdleAndAbsoluteTimeouts(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a := newApp(t, rdb, session.WithIdleTimeout(time.Hour), session.WithLifetime(2*time.Hour))
	a.get("/put?k=a&v=1")
	key := a.keys(rdb)[0]
	rdb.PExpire(t.Context(), key, 30*time.Minute) // as if half the idle time were over
	count := redistest.Count(rdb)
	a.get("/get?k=a")
	if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 59*time.Minute || ttl > time.Hour {
		t.Errorf("after use: TTL %v, want the idle time again", ttl)
	}
	a.get("/get?k=a")
	if got := count.Commands(); got["set"] != 0 || got["eval"] != 1 {
		t.Errorf("renewal: %v, want one script that extends and no SET", got)
	}

	a = newApp(t, rdb, session.WithLifetime(200*time.Millisecond), session.WithIdleTimeout(100*time.Millisecond))
	a.get("/put?k=a&v=1")
	key = a.keys(rdb)[0]
	rdb.Persist(t.Context(), key) // whatever keeps the key: the deadline is in the value
	redistest.Eventually(t, patience, func() bool { return a.get("/get?k=a").Body.String() == "" }, "a session lives past its deadline")
}

// A read in flight during a logout must not bring the session back.
func TestAReadDoesNotUndoALogout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		a := newApp(t, rdb, session.WithIdleTimeout(time.Hour), session.WithLifetime(2*time.Hour))
		a.get("/put?k=a&v=1")
		cookie := a.cookie
		for _, key := range a.keys(rdb) {
			rdb.PExpire(t.Context(), key, time.Minute) // the read will renew it
		}
		slow := a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			a.GetString(r.Context(), "a")
			a.get("/logout")
		}))
		a.request(slow, "/")
		a.cookie = cookie
		a.want("/get?k=a", 200, "")
	})
}

func TestTwoManagersShareNothing(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a, b := newApp(t, rdb), newApp(t, rdb, session.WithCookie(session.Cookie{Name: "__Host-other"}))
	h := a.Handler(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Put(r.Context(), "k", "a")
		b.Put(r.Context(), "k", "b")
		fmt.Fprint(w, a.GetString(r.Context(), "k"), b.GetString(r.Context(), "k"))
	})))
	w := a.request(h, "/")
	if w.Body.String() != "ab" || len(w.Header().Values("Set-Cookie")) != 2 {
		t.Errorf("got %q, cookies %v", w.Body, w.Header().Values("Set-Cookie"))
	}
}

func TestCorruptAndForeignValues(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, junk := range []string{"", "junk", "\xff\xff\xff\xff", strings.Repeat("\x7f", 1000)} {
		a := newApp(t, rdb)
		a.get("/put?k=a&v=1")
		key := a.keys(rdb)[0]
		rdb.Set(t.Context(), key, junk, time.Minute)
		w := a.get("/get?k=a")
		if w.Code != 200 || w.Body.String() != "" || a.cookie != "" {
			t.Errorf("%.10q stored: got %d %q, cookie %q, want a new session", junk, w.Code, w.Body, a.cookie)
		}
		if !strings.Contains(a.failures(), session.ErrCorrupt.Error()) || rdb.Exists(t.Context(), key).Val() != 0 {
			t.Errorf("%.10q stored: hook %v, key still there", junk, a.failures())
		}
	}
}

func TestTooLargeKeepsTheOldValue(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t), session.WithMaxSize(1000))
	a.get("/put?k=a&v=small")
	w := a.get("/put?k=a&v=" + strings.Repeat("x", 2000))
	if w.Code != 500 || strings.Contains(w.Body.String(), "put") || !strings.Contains(a.failures(), session.ErrTooLarge.Error()) {
		t.Errorf("got %d %q, hook %v", w.Code, w.Body, a.failures())
	}
	a.want("/get?k=a", 200, "small")
}

func TestRememberMe(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	w := a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a.RememberMe(r.Context(), true)
	})), "/")
	c := w.Result().Cookies()[0]
	if c.MaxAge < 43195 || c.MaxAge > 43201 || c.Expires.IsZero() {
		t.Errorf("Max-Age: got %d, want the 12 hours of the lifetime", c.MaxAge)
	}
}

func TestIterate(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		a := newApp(t, g.Client(t))
		for i := range 20 {
			a.cookie = ""
			a.get(fmt.Sprint("/put?k=a&v=", i))
		}
		n := 0
		err := a.Iterate(t.Context(), func(ctx context.Context) error {
			if a.GetString(ctx, "a") != "" {
				n++
			}
			return nil
		})
		if err != nil || n != 20 {
			t.Errorf("got %d, %v, want 20", n, err)
		}
	})
}

func TestEveryMistakeIsReported(t *testing.T) {
	g := redistest.Cluster(t)
	replicas := g.Client(t, func(o *redis.UniversalOptions) { o.ReadOnly = true })
	type o = session.Option
	cookie := session.WithCookie
	domain := func(domain string) o { return cookie(session.Cookie{Name: "sid", Domain: domain}) }
	path := func(path string) o { return cookie(session.Cookie{Name: "sid", Path: path}) }
	cases := map[string][][]o{
		"WithCookie: Name": {{session.WithCookie(session.Cookie{Name: "a b"})}, {session.WithCookie(session.Cookie{Name: "a;b"})}, {session.WithCookie(session.Cookie{Name: "a=b"})}, {session.WithCookie(session.Cookie{Name: "sitz\u00fcng"})}},
		"WithCookie: Domain": {
			{cookie(session.Cookie{Domain: "example.com"})},
			{domain("com")},
			{domain(".com")},
			{domain("localhost")},
			{domain("192.0.2.1")},
			{domain("::1")},
			{domain("[::1]")},
			{domain("example.com:8080")},
			{domain("https://example.com")},
			{domain("*.example.com")},
			{domain("example.com.")},
			{domain("a..com")},
			{domain("-a.com")},
			{domain("b\u00fccher.de")},
			{domain("example.com; Path=/x")},
			{domain("exam ple.com")},
			{domain(strings.Repeat("a", 64) + ".com")},
			{domain("1.2.3")},
			{domain("co.uk")},
			{domain("GitHub.io")},
			{domain(".")},
		},
		"WithCookie: Path":        {{cookie(session.Cookie{Path: "/app"})}, {path("app")}, {path("/a;b")}, {path("/a\nb")}, {path("/a\x7f")}, {path("/\u00fc")}, {path("/" + strings.Repeat("a", 1024))}, {path("/a?b")}},
		"WithCookie: Insecure":    {{session.WithCookie(session.Cookie{Insecure: true, Name: "__Secure-x"})}, {session.WithCookie(session.Cookie{Insecure: true, Name: "__host-x"})}, {session.WithCookie(session.Cookie{Insecure: true, Name: "__Http-x"})}},
		"WithCookie: SameSite":    {{session.WithCookie(session.Cookie{Insecure: true, SameSite: http.SameSiteNoneMode})}, {session.WithCookie(session.Cookie{SameSite: 17})}, {session.WithCookie(session.Cookie{SameSite: -1})}},
		"WithCookie: Partitioned": {{session.WithCookie(session.Cookie{Partitioned: true})}, {session.WithCookie(session.Cookie{Partitioned: true, SameSite: http.SameSiteStrictMode})}},
		"WithKeyPrefix":           {{session.WithKeyPrefix("a*")}, {session.WithKeyPrefix("{a}")}, {session.WithKeyPrefix("a\n")}, {session.WithKeyPrefix("")}},
		"WithName":                {{session.WithName("a:b")}, {session.WithName("a*")}, {session.WithCookie(session.Cookie{Name: "a*"})}},
		"WithLifetime":            {{session.WithLifetime(401 * 24 * time.Hour)}, {session.WithLifetime(-time.Hour)}, {session.WithLifetime(1)}},
		"WithIdleTimeout":         {{session.WithIdleTimeout(13 * time.Hour)}, {session.WithIdleTimeout(-1)}, {session.WithIdleTimeout(1)}},
		"WithTimeouts":            {{session.WithTimeouts(0, 1)}, {session.WithTimeouts(1, -1)}},
		"WithFailureMode":         {{session.WithFailureMode(-1)}, {session.WithFailureMode(2)}},
		"WithDenyHandler":         {{session.WithDenyHandler(http.HandlerFunc(nil))}},
		"WithMaxSize":             {{session.WithMaxSize(0)}},
		"WithMaxSessions":         {{session.WithMaxSessions(-1)}},
		"WithCodec":               {{session.WithCodec(nil)}, {session.WithCodec((*scs.GobCodec)(nil))}},
		"WithLogger":              {{session.WithLogger(nil)}},
		"WithMerge":               {{session.WithMerge(nil)}},
		"WithScsSessions":         {{session.WithScsSessions("")}},
		"WithWaitReplicas":        {{session.WithWaitReplicas(0, time.Second)}, {session.WithWaitReplicas(1, 0)}},
		"WithEncryption":          {{session.WithEncryption()}, {session.WithEncryption(nil)}, {session.WithEncryption(make([]byte, 16))}, {session.WithEncryption(keyOf(1), keyOf(1))}, {session.WithEncryption(keyOf(1)), session.WithEncryption()}},
		"WithReadPlaintext":       {{session.WithReadPlaintext(true)}, {session.WithReadPlaintext(true), session.WithEncryption()}},
	}
	rdb := g.Client(t)
	for option, each := range cases {
		for i, opts := range each {
			_, err := session.New(rdb, append(opts, nil)...)
			if _, ok := errors.AsType[*session.OptionError](err); !ok || !strings.Contains(err.Error(), "session: "+option+": ") {
				t.Errorf("%s, case %d: got %v", option, i, err)
			}
		}
	}
	for i, opts := range [][]o{
		{domain("example.com")},
		{domain(".Example.co.uk")},
		{domain("xn--bcher-kva.de")},
		{path("/app/%C3%BC")},
		{session.WithCookie(session.Cookie{SameSite: http.SameSiteStrictMode})},
		{session.WithCookie(session.Cookie{SameSite: http.SameSiteDefaultMode})},
		{session.WithCookie(session.Cookie{SameSite: http.SameSiteNoneMode, Partitioned: true})},
		{session.WithEncryption(), session.WithEncryption(keyOf(1))},
		{cookie(session.Cookie{Name: "__Secure-a", Domain: "a.example.com"})},
	} {
		if _, err := session.New(rdb, opts...); err != nil {
			t.Errorf("good options, case %d: %v", i, err)
		}
	}
	if _, err := session.New(replicas); err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("reads from replicas: got %v", err)
	}
	if _, err := session.New(nil, session.WithIdleTimeout(0)); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes: got %v", err)
	}
}

// FuzzCookie: whatever a client sends, there is no panic, no other user's data.
func FuzzCookie(f *testing.F) {
	f.Add("__Host-session=" + strings.Repeat("a", 43))
	f.Add(`__Host-session="x"; __Host-session=`)
	f.Fuzz(func(t *testing.T, cookie string) {
		a := newApp(t, redistest.Standalone(t).Client(t))
		a.get("/put?k=a&v=alice")
		a.cookie = cookie
		if w := a.get("/get?k=a"); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("got %d %q", w.Code, w.Body)
		}
	})
}
