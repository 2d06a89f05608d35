package session_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// What a real server and a real client make of responses behind the session,
// over HTTP/1.1 and HTTP/2.
func overServers(t *testing.T, h http.Handler, fn func(t *testing.T, srv *httptest.Server)) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", h2), func(t *testing.T) { fn(t, server(t, h2, h)) })
	}
}

// The first event arrives while the handler is at work, and what it puts into
// the session between events is saved at its end.
func TestServerSentEvents(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	step := make(chan bool)
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		a.Put(r.Context(), "events", "0")
		for i := 1; i <= 3; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			a.Put(r.Context(), "events", fmt.Sprint(i))
			<-step // until the client has it
		}
	}))
	overServers(t, h, func(t *testing.T, srv *httptest.Server) {
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for i := 1; i <= 3; i++ {
			if !lines.Scan() || lines.Text() != fmt.Sprint("data: ", i) || !lines.Scan() {
				t.Fatalf("event %d: got %q, %v", i, lines.Text(), lines.Err())
			}
			step <- true
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		cookies := resp.Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies: %v", cookies)
		}
		a.cookie = cookies[0].Name + "=" + cookies[0].Value
		redistest.Eventually(t, patience, func() bool { return a.get("/get?k=events").Body.String() == "3" }, "what an event changed is lost")
	})
}

func TestEarlyHintsReachTheClient(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		a.Put(r.Context(), "k", "v")
		fmt.Fprint(w, "page")
	}))
	overServers(t, h, func(t *testing.T, srv *httptest.Server) {
		var hint textproto.MIMEHeader
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hint = header
			}
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if hint.Get("Link") == "" || hint.Get("Set-Cookie") != "" {
			t.Errorf("the hint: %v, want the link and no cookie", hint)
		}
		if len(resp.Cookies()) != 1 || string(body) != "page" {
			t.Errorf("cookies %v, body %q", resp.Cookies(), body)
		}
	})
}

func TestRanges(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	content := strings.Repeat("0123456789", 10_000)
	modified := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Put(r.Context(), "k", fmt.Sprint(time.Now().UnixNano()))
		http.ServeContent(w, r, "a.txt", modified, strings.NewReader(content))
	}))
	cases := map[string]struct {
		header, value string
		status        int
		body          string
	}{
		"all":          {"X-None", "", 200, content},
		"first":        {"Range", "bytes=0-4", 206, "01234"},
		"last":         {"Range", "bytes=-3", 206, "789"},
		"none such":    {"Range", "bytes=9999999-", 416, "invalid range: failed to overlap\n"},
		"not modified": {"If-Modified-Since", modified.Format(http.TimeFormat), 304, ""},
	}
	overServers(t, h, func(t *testing.T, srv *httptest.Server) {
		for name, c := range cases {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(c.header, c.value)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != c.status || string(body) != c.body || len(resp.Cookies()) != 1 {
				t.Errorf("%s: got %d, %d bytes, %v, cookies %v", name, resp.StatusCode, len(body), err, resp.Cookies())
			}
		}
	})
}

// A request of another site is refused before the session is looked at; so the
// cookie alone cannot act.
func TestForgedRequestsAreRefused(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a := newApp(t, rdb)
	a.get("/put?k=user&v=alice")
	count := redistest.Count(rdb)
	h := http.NewCrossOriginProtection().Handler(a.h)
	ask := func(site string) int {
		r := httptest.NewRequest(http.MethodPost, "/put?k=user&v=mallory", nil)
		r.Header.Set("Cookie", a.cookie)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask("cross-site"); got != http.StatusForbidden || count.Trips() != 0 {
		t.Errorf("forged: got %d after %d round trips, want 403 and none", got, count.Trips())
	}
	a.want("/get?k=user", 200, "alice")
	if got := ask("same-origin"); got != http.StatusOK {
		t.Errorf("own: got %d", got)
	}
	a.want("/get?k=user", 200, "mallory")
}

// memory is a store that answers at once.
type memory struct{ value []byte }

func (m *memory) Find(string) ([]byte, bool, error)                     { return m.value, m.value != nil, nil }
func (m *memory) Commit(_ string, b []byte, _ time.Time) error          { m.value = b; return nil }
func (m *memory) Delete(string) error                                   { m.value = nil; return nil }
func (m *memory) FindCtx(context.Context, string) ([]byte, bool, error) { return m.Find("") }
func (m *memory) DeleteCtx(context.Context, string) error               { return m.Delete("") }
func (m *memory) CommitCtx(_ context.Context, _ string, b []byte, t time.Time) error {
	return m.Commit("", b, t)
}

// overhead is a request that reads its session from a store that answers at
// once, behind wrap.
func overhead(t testing.TB, m data, wrap func(http.Handler) http.Handler) func() {
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			m.Put(r.Context(), "user", "alice")
		}
		if m.GetString(r.Context(), "user") != "alice" {
			t.Error("the session was not found")
		}
		_, _ = w.Write(nil)
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	c, _ := cookie(w)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", c)
	out := bench.NewDiscard()
	return func() {
		clear(out.H)
		h.ServeHTTP(out, r)
	}
}

func ours(t testing.TB) func() {
	m, err := session.New(redistest.Standalone(t).Client(t))
	if err != nil {
		t.Fatal(err)
	}
	session.SetStore(m, &memory{})
	return overhead(t, m, m.Handler)
}

func TestAReadAllocatesLittle(t *testing.T) {
	if got := testing.AllocsPerRun(1000, ours(t)); got > 25 {
		t.Errorf("%v allocations, want at most 25", got)
	}
}

// BenchmarkOverhead is what a read costs without Redis, ours and scs' own.
func BenchmarkOverhead(b *testing.B) {
	theirs := scs.New()
	theirs.Store = &memory{}
	for name, request := range map[string]func(){"ours": ours(b), "scs": overhead(b, theirs, theirs.LoadAndSave)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}
