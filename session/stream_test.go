package session_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

func server(t *testing.T, h2 bool, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// How a handler may begin its response: the session is saved before each.
func TestSavedBeforeTheHeader(t *testing.T) {
	begin := map[string]func(http.ResponseWriter, *http.Request){
		"Write":       func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") },
		"WriteHeader": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) },
		"Flush":       func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"Controller":  func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() },
		"ReadFrom":    func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("x")) },
		"return":      func(http.ResponseWriter, *http.Request) {},
		"ServeContent": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("x"))
		},
	}
	for _, h2 := range []bool{false, true} {
		for name, start := range begin {
			t.Run(fmt.Sprintf("http2=%v/%s", h2, name), func(t *testing.T) {
				rdb := redistest.Standalone(t).Client(t)
				a := newApp(t, rdb)
				srv := server(t, h2, a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					a.Put(r.Context(), "early", "1")
					start(w, r)
					if name != "return" && len(a.keys(rdb)) != 1 {
						t.Error("not saved when the header went out")
					}
					a.Put(r.Context(), "late", "2")
				})))
				resp, err := srv.Client().Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if len(resp.Cookies()) != 1 {
					t.Fatalf("cookies: got %v, want one", resp.Cookies())
				}
				a.cookie = resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
				a.want("/get?k=early", 200, "1")
				redistest.Eventually(t, patience, func() bool { return a.get("/get?k=late").Body.String() == "2" }, "a change after the header is lost")
				if a.failures() != "[]" {
					t.Errorf("failures: %v", a.failures())
				}
			})
		}
	}
}

func TestChangesThatNeedACookieAfterTheHeader(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for name, change := range map[string]func(*app, *http.Request){
		"new session": func(a *app, r *http.Request) { a.Put(r.Context(), "k", "v") },
		"rotation":    func(a *app, r *http.Request) { a.RenewToken(r.Context()) },
		"logout":      func(a *app, r *http.Request) { a.Destroy(r.Context()) },
	} {
		a := newApp(t, rdb)
		if name != "new session" {
			a.get("/put?k=a&v=1")
		}
		a.request(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "body")
			change(a, r)
		})), "/")
		if !strings.Contains(a.failures(), session.ErrHeadersSent.Error()) {
			t.Errorf("%s: hook got %v, want ErrHeadersSent", name, a.failures())
		}
		want := map[string]string{"new session": "", "rotation": "1", "logout": ""}[name]
		a.want("/get?k=a", 200, want) // a rotation that cannot be told leaves the old session
	}
}

func TestEarlyHints(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	srv := httptest.NewServer(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		a.Put(r.Context(), "k", "v")
		w.WriteHeader(http.StatusOK)
	})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(resp.Cookies()) != 1 {
		t.Error("what was put after a 103 is lost")
	}
}

func TestHijack(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a := newApp(t, rdb)
	srv := httptest.NewServer(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Put(r.Context(), "k", "v")
		cookie := make(chan string, 1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		cookie <- w.Header().Get("Set-Cookie") // there when the upgrade is written
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: %s\r\n\r\n", <-cookie)
	})))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Cookies()) != 1 || len(a.keys(rdb)) != 1 {
		t.Errorf("cookies %v, keys %v", resp.Cookies(), a.keys(rdb))
	}
}

func TestAPanicSavesNothing(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a := newApp(t, rdb)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // a panic keeps its identity
			t.Errorf("recovered %v, want the handler's panic", p)
		}
		if keys := a.keys(rdb); len(keys) != 0 {
			t.Errorf("saved after a panic: %v", keys)
		}
	}()
	a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a.Put(r.Context(), "k", "v")
		panic(http.ErrAbortHandler)
	})), "/")
}
