package admin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

// fullAccess permits everything.
func fullAccess(*http.Request) (admin.Access, error) {
	return admin.Access{User: "ann", Read: true, Write: true}, nil
}

func setOf(t *testing.T, urls map[string]string) *connect.Set {
	t.Helper()
	set := connect.NewSet(connect.WithTimeouts(connect.Timeouts{Dial: patience, Read: patience, Write: patience, Pool: patience}))
	redistest.CloseAfter(t, patience, set)
	for name, u := range urls {
		if err := set.Add(name, u); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// browser asks a panel of its own.
type browser struct {
	t    *testing.T
	h    http.Handler
	base string
}

func open(t *testing.T, set admin.Connections, opts ...admin.Option) *browser {
	t.Helper()
	opts = append([]admin.Option{admin.WithAuthorizer(fullAccess), admin.WithTimeout(patience)}, opts...)
	panel, err := admin.New(set, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, panel.Handler(), "/admin/"}
}

func (b *browser) get(page string) (int, string) {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, httptest.NewRequest("GET", b.base+page, nil))
	body, _ := io.ReadAll(w.Body)
	return w.Code, string(body)
}

// see gets a page that must be there and contain what is wanted.
func (b *browser) see(page string, want ...string) string {
	b.t.Helper()
	status, body := b.get(page)
	if status != 200 {
		b.t.Fatalf("%s: %d %s", page, status, text(body))
	}
	for _, w := range want {
		if !strings.Contains(body, w) {
			b.t.Errorf("%s does not say %q: %s", page, w, text(body))
		}
	}
	return body
}

// post sends a form as the panel's own page would.
func (b *browser) post(page string, pairs ...string) (int, string, http.Header) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("POST", b.base+page, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// text is the body of a page, for messages.
func text(body string) string {
	if _, main, ok := strings.Cut(body, "<main>"); ok {
		return main
	}
	return body
}

func q(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := admin.New(nil)
	if err == nil || !strings.Contains(err.Error(), "admin: conns: is nil") || !strings.Contains(err.Error(), "admin: WithAuthorizer: is missing") {
		t.Errorf("got %v", err)
	}
	set := setOf(t, map[string]string{"default": "redis://127.0.0.1:1"})
	_, err = admin.New(set, admin.WithAuthorizer(fullAccess), nil, admin.WithTimeout(0), admin.WithStreams(-1, time.Millisecond), admin.WithLogger(nil),
		admin.WithHiddenKeys(""), admin.WithTrustedOrigins("nonsense"), admin.WithCache("defualr", "", nil))
	for _, want := range []string{"WithTimeout: 0s", "WithStreams: -1", "WithStreams: 1ms", "WithLogger: is nil", "WithHiddenKeys: is empty", "WithTrustedOrigins", "WithCache: is nil", "WithCache: connect"} {
		if err == nil || !strings.Contains(err.Error(), "admin: "+want) {
			t.Errorf("does not say %q: %v", want, err)
		}
	}
	if e, ok := errors.AsType[*admin.OptionError](err); !ok || e.Option == "" {
		t.Errorf("no *OptionError in %v", err)
	}
}

func TestPagesNeedTheRightToRead(t *testing.T) {
	set := setOf(t, map[string]string{"default": "redis://127.0.0.1:1"})
	pages := []string{"", "connection", "node?addr=x", "events?addr=x", "keys", "key?key=x", "limits", "sessions", "cache", "locks", "cron", "confirm", "admin.css", "admin.js", "nothing.html"}
	cases := map[string]func(*http.Request) (admin.Access, error){
		"an error": func(*http.Request) (admin.Access, error) {
			return admin.Access{Read: true, Write: true}, errors.New("who?")
		},
		"the zero Access": func(*http.Request) (admin.Access, error) { return admin.Access{}, nil },
		"write alone":     func(*http.Request) (admin.Access, error) { return admin.Access{Write: true}, nil },
	}
	for name, authorize := range cases {
		b := open(t, set, admin.WithAuthorizer(authorize))
		for _, page := range pages {
			if status, body := b.get(page); status != 403 || strings.Contains(body, "who?") || strings.Contains(body, "<") {
				t.Errorf("%s: %q is answered %d %s", name, page, status, body)
			}
		}
		if status, _, _ := b.post("act", "action", "delete", "key", "x", "confirmed", "yes"); status != 403 {
			t.Errorf("%s: a write is answered %d", name, status)
		}
	}
	challenge := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	b := open(t, set, admin.WithAuthorizer(cases["an error"]), admin.WithDenyHandler(challenge))
	if status, _ := b.get(""); status != 401 {
		t.Errorf("with a handler of its own: %d", status)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	set := setOf(t, map[string]string{"default": redistest.Standalone(t).URL})
	b := open(t, set)
	for _, page := range []string{"", "connection", "admin.css", "no.such", "keys?cursor=nonsense"} {
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, httptest.NewRequest("GET", "/admin/"+page, nil))
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%q: the policy %q lacks %s", page, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %v", page, w.Header())
		}
		if body := w.Body.String(); strings.Contains(body, "style=") || strings.Contains(body, "<script>") || strings.Contains(body, "onclick") {
			t.Errorf("%q: something is inline", page)
		}
	}
}

// The panel works under any prefix, whether a router strips it or not.
func TestAnyPrefix(t *testing.T) {
	set := setOf(t, map[string]string{"default": redistest.Standalone(t).URL})
	h := open(t, set).h
	plain := http.NewServeMux()
	plain.Handle("/ops/redis/", h)
	stripped := http.NewServeMux()
	stripped.Handle("/ops/redis/", http.StripPrefix("/ops/redis/", h)) // not even a slash is left
	half := http.NewServeMux()
	half.Handle("/ops/redis/", http.StripPrefix("/ops/redis", h))
	mounted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }) // like chi's Mount, with and without the slash
	for name, router := range map[string]http.Handler{"plain": plain, "stripped with the slash": stripped, "stripped": half, "mounted": mounted} {
		srv := httptest.NewServer(router)
		defer srv.Close()
		for _, path := range []string{"/ops/redis", "/ops/redis/", "/ops/redis/connection?conn=default", "/ops/redis/admin.css"} {
			resp, err := srv.Client().Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if at := resp.Request.URL.Path; resp.StatusCode != 200 || !strings.HasPrefix(at, "/ops/redis/") || len(body) < 500 {
				t.Errorf("%s: %s leads to %s, %d", name, path, at, resp.StatusCode)
			}
		}
	}
}

// What looks like another origin in the path stays a path.
func TestTheSlashIsAddedHereOnly(t *testing.T) {
	set := setOf(t, map[string]string{"default": "redis://127.0.0.1:1"})
	b := open(t, set)
	for _, path := range []string{"//evil.example/x", "/x//evil.example", "/javascript:alert(1)", "/%2F%2Fevil.example"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, _ = url.Parse("http://host" + path)
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, r)
		base, _ := url.Parse("http://host" + path)
		to, err := base.Parse(w.Header().Get("Location"))
		if w.Code == http.StatusTemporaryRedirect && (err != nil || to.Host != "host" || to.Scheme != "http") {
			t.Errorf("%s leads to %v", path, to)
		}
	}
}

func TestConnectionsOnEveryTopology(t *testing.T) {
	set := setOf(t, map[string]string{
		"one": redistest.Standalone(t).URL, "guarded": redistest.Sentinel(t).URL, "many": redistest.Cluster(t).URL,
		"away": "redis://app:hunter2@127.0.0.1:1",
	})
	b := open(t, set, admin.WithTitle("orders, staging"))
	body := b.see("", "orders, staging", "standalone", "sentinel", "cluster", "3 masters", "1 replica, 3 sentinels", "0–5460", "well", "down")
	if strings.Contains(body, "hunter2") {
		t.Error("the page has a password")
	}
	for _, name := range []string{"one", "guarded", "many", "away"} {
		if body := b.see("connection"+q("conn", name), "Pool of this process", "Breaker", "Configuration", name); strings.Contains(body, "hunter2") {
			t.Error("the page has a password")
		}
	}
	if status, _ := b.get("connection" + q("conn", "nobody")); status != 404 {
		t.Errorf("an unknown connection is answered %d", status)
	}
}

// A Redis that hangs makes no page that hangs.
func TestAHungRedisIsShownAsSuch(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	set := setOf(t, map[string]string{"hung": "redis://" + proxy.Addr() + "?read_timeout=20s&dial_timeout=20s", "well": server.URL()})
	b := open(t, set, admin.WithTimeout(500*time.Millisecond))
	proxy.Mute()
	start := time.Now()
	b.see("", "down", "well")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the page took %v", took)
	}
}
