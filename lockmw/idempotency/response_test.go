package idempotency_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// raw sends a request over a connection of its own and returns all that comes
// back, without what may differ between an answer and its replay.
func raw(t testing.TB, srv *httptest.Server, method, path, key string) (text string, replayed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser: alice\r\nIdempotency-Key: %s\r\nContent-Length: 2\r\n\r\n{}", method, path, key)
	got, _ := io.ReadAll(conn)
	replayed = strings.Contains(string(got), "Idempotency-Replayed: true\r\n")
	return differing.ReplaceAllString(string(got), ""), replayed
}

var differing = regexp.MustCompile(`(Date|Idempotency-Replayed): [^\r]*\r\n`)

var answers = map[string]http.HandlerFunc{
	"/created": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/1")
		w.Header()["x-odd"] = []string{"a", "b"}
		w.WriteHeader(201)
		io.WriteString(w, `{"id":1}`)
	},
	"/implicit": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<p>sniffed") },
	"/unsniffed": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "<p>not sniffed")
	},
	"/pieces": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 500 {
			fmt.Fprintf(w, "piece %d\n", i)
			w.(http.Flusher).Flush()
		}
	},
	"/sized": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		io.WriteString(w, "abc")
	},
	"/none":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	"/notmodified": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"1"`); w.WriteHeader(304) },
	"/empty":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
	"/flushed":     func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
	"/error":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) },
	"/odd":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599); io.WriteString(w, "odd") },
	"/nothing":     func(http.ResponseWriter, *http.Request) {},
	"/fields":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", "/1") },
	"/read":        func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) },
	"/late": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.Header().Set("X-Late", "1")
		io.WriteString(w, "x")
		w.WriteHeader(500)
	},
	"/vary": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Vary", "Accept")
		w.Header().Set("Server", "mine")
		w.Header().Del("X-Outer")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		io.WriteString(w, "x")
	},
	"/binary": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0, 1, '\r', '\n', 255}) },
	"/body":   func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) },
	"/copied": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("content"))
	},
}

// A replay is byte for byte what the first request got, but for the date and
// the field that says so; and that is what it gets without the middleware.
func TestReplaysAreIdentical(t *testing.T) {
	var runs atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		answers[r.URL.Path](w, r)
	})
	outer := func(h http.Handler) http.Handler { // its fields are its own
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Origin")
			w.Header().Set("Server", "outer")
			w.Header().Set("X-Outer", "1")
			h.ServeHTTP(w, r)
		})
	}
	k := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t), idempotency.WithMethods("POST", "HEAD"))
	serve := func(h http.Handler) *httptest.Server {
		srv := httptest.NewUnstartedServer(outer(h))
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of a second WriteHeader
		srv.Start()
		t.Cleanup(srv.Close)
		return srv
	}
	bare, guarded := serve(handler), serve(k.Handler(handler))
	for path := range answers {
		for _, method := range []string{"POST", "HEAD"} {
			runs.Store(0)
			plain, _ := raw(t, bare, method, path, "k")
			first, r1 := raw(t, guarded, method, path, "k")
			second, r2 := raw(t, guarded, method, path, "k")
			if r1 || !r2 || first != second || !strings.HasPrefix(first, "HTTP/1.1 ") || runs.Load() != 2 {
				t.Errorf("%s %s: %d runs, first (replayed %v)\n%s\nsecond (replayed %v)\n%s", method, path, runs.Load(), r1, first, r2, second)
			}
			// A body that comes in one piece has its length, where it was chunked.
			if path != "/pieces" && path != "/flushed" && plain != first {
				t.Errorf("%s %s: without the middleware\n%s\nwith it\n%s", method, path, plain, first)
			}
		}
	}
}

func TestReplaysOverHTTP2(t *testing.T) {
	k := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t))
	srv := httptest.NewUnstartedServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w, r) })))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	for path := range answers {
		var got [2]string
		for i := range got {
			r, _ := http.NewRequest("POST", srv.URL+path, strings.NewReader("{}"))
			r.Header.Set("User", "alice")
			r.Header.Set("Idempotency-Key", `"k"`)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.ProtoMajor != 2 || (resp.Header.Get("Idempotency-Replayed") != "") != (i == 1) {
				t.Errorf("%s: %s, %v, %v", path, resp.Proto, resp.Header, err)
			}
			resp.Header.Del("Date")
			resp.Header.Del("Idempotency-Replayed")
			got[i] = fmt.Sprint(resp.StatusCode, resp.Header, string(body))
		}
		if got[0] != got[1] {
			t.Errorf("%s: first %s\nsecond %s", path, got[0], got[1])
		}
	}
}

// What cannot be sent again goes to the client as it is, and is never run
// again.
func TestWhatIsNotKept(t *testing.T) {
	const limit = 1000
	big := strings.Repeat("0123456789", 2*limit/10)
	cases := map[string]struct {
		handler http.HandlerFunc
		body    string
		broken  bool // on the wire
	}{
		"too large": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); io.WriteString(w, big) }, big, false},
		"too large, in pieces": {func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.MultiReader(strings.NewReader(big[:999]), strings.NewReader(big[999:])))
		}, big, false},
		"too large, announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big)
		}, big, false},
		"nothing of what it says": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "5") }, "", true},
		"shorter than it says": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "abc")
		}, "abc", true},
		"an announced trailer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Sum")
			io.WriteString(w, "abc")
			w.Header().Set("Sum", "6")
		}, "abc", false},
		"an unexpected trailer": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			io.WriteString(w, strings.Repeat("a", 999))
			w.Header().Set(http.TrailerPrefix+"Sum", "6")
		}, strings.Repeat("a", 999), false},
	}
	for name, tc := range cases {
		var runs atomic.Int32
		outcomes := make(chan string, 1)
		rdb := redistest.Standalone(t).Client(t)
		k := keeper(t, rdb, redistest.Prefix(t), idempotency.WithMaxResponseBody(limit), idempotency.WithHooks(idempotency.Hooks{
			Ran: func(_ context.Context, _ idempotency.Attempt, o string) { outcomes <- o },
		}))
		srv := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { runs.Add(1); tc.handler(w, r) })))
		r, _ := http.NewRequest("POST", srv.URL, nil)
		r.Header = http.Header{"User": {"alice"}, "Idempotency-Key": {"k"}}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != tc.body || (err != nil) != tc.broken {
			t.Errorf("%s: got %q, %v", name, body, err)
		}
		if strings.Contains(name, "announced trailer") && resp.Trailer.Get("Sum") != "6" {
			t.Errorf("%s: %v", name, resp.Trailer)
		}
		if o := <-outcomes; o != "not-kept" || runs.Load() != 1 {
			t.Errorf("%s: outcome %s, %d runs", name, o, runs.Load())
		}
		srv.Close()
		w := httptest.NewRecorder()
		srv.Config.Handler.ServeHTTP(w, request("k", "", to("/")))
		want(t, name, w, 409, "not-kept")
		if runs.Load() != 1 {
			t.Errorf("%s: %d runs", name, runs.Load())
		}
	}
}

// Nothing reaches the client before it is recorded, however it is flushed; a
// body above the limit streams from there on.
func TestStreaming(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	for _, limit := range []int64{1000, 0} {
		next, over := make(chan struct{}), make(chan struct{})
		k := keeper(t, rdb, prefix, idempotency.WithName(fmt.Sprint(limit)), idempotency.WithMaxResponseBody(limit))
		srv := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(over)
			rc := http.NewResponseController(w)
			if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("hijack: %v", err)
			}
			for _, err := range []error{rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.EnableFullDuplex(), rc.Flush()} {
				if err != nil {
					t.Error(err)
				}
			}
			if limit > 0 {
				io.WriteString(w, strings.Repeat("x", 999)+"\n")
				rc.Flush()
				if keys := rdb.Keys(t.Context(), prefix+":*").Val(); len(keys) != 1 || rdb.HGet(t.Context(), keys[0], "s").Val() != "p" {
					t.Errorf("records %v", keys)
				}
			}
			for i := range 3 {
				fmt.Fprintf(w, "event %d\n", i)
				rc.Flush()
				<-next // the client has it
			}
		})))
		r, _ := http.NewRequest("POST", srv.URL, nil)
		r.Header = http.Header{"User": {"alice"}, "Idempotency-Key": {"k"}}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		if limit > 0 {
			if line, err := lines.ReadString('\n'); len(line) != 1000 || err != nil {
				t.Errorf("first line of %d, %v", len(line), err)
			}
		}
		for i := range 3 {
			if line, err := lines.ReadString('\n'); line != fmt.Sprintf("event %d\n", i) || err != nil {
				t.Errorf("limit %d: got %q, %v", limit, line, err)
			}
			next <- struct{}{}
		}
		<-over
		srv.Close()
		rdb.Del(t.Context(), rdb.Keys(t.Context(), prefix+":*").Val()...)
	}
}

// A stream that its client leaves ends.
func TestAStreamThatIsLeft(t *testing.T) {
	outcomes := make(chan string, 1)
	k := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t), idempotency.WithMaxResponseBody(0), idempotency.WithHooks(idempotency.Hooks{
		Ran: func(_ context.Context, _ idempotency.Attempt, o string) { outcomes <- o },
	}))
	srv := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "event\n")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
			t.Error("the handler is not told")
		}
	})))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", srv.URL, nil)
	r.Header = http.Header{"User": {"alice"}, "Idempotency-Key": {"k"}}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "event\n" {
		t.Errorf("got %q, %v", line, err)
	}
	cancel()
	if o := <-outcomes; o != "unknown" {
		t.Errorf("outcome %s", o)
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	k := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t))
	srv := httptest.NewServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
	})))
	defer srv.Close()
	first, _ := raw(t, srv, "POST", "/", "k")
	second, replayed := raw(t, srv, "POST", "/", "k")
	if hints, final, _ := strings.Cut(first, "\r\n\r\n"); !strings.HasPrefix(hints, "HTTP/1.1 103 ") || !strings.HasPrefix(final, "HTTP/1.1 201 ") || final != second || !replayed {
		t.Errorf("first\n%s\nsecond\n%s", first, second)
	}
}

// The errors of net/http, which the handler would not see any more.
func TestWriteErrors(t *testing.T) {
	h := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("a body of a 204: %v", err)
			}
		case "/length":
			w.Header().Set("Content-Length", "2")
			if _, err := io.WriteString(w, "ab"); err != nil {
				t.Error(err)
			}
			if _, err := io.WriteString(w, "c"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("more than its Content-Length: %v", err)
			}
		case "/status":
			defer func() {
				if recover() == nil {
					t.Error("a status of 42")
				}
				w.WriteHeader(500)
			}()
			w.WriteHeader(42)
		}
	}))
	for path, status := range map[string]int{"/204": 204, "/length": 200, "/status": 500} {
		first, second := post(h, "k", "", to(path)), post(h, "k", "", to(path))
		if first.Code != status || second.Code != status || first.Body.String() != second.Body.String() || second.Header().Get("Idempotency-Replayed") == "" {
			t.Errorf("%s: first %v, second %v", path, first, second)
		}
	}
}

// What handlers do instead of writing a status: the retry gets what the first
// request got, or is told that the outcome is unknown.
func TestHandlersThatWriteNoStatus(t *testing.T) {
	var runs atomic.Int32
	k := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t))
	handlers := map[string]http.HandlerFunc{
		"/nothing": func(http.ResponseWriter, *http.Request) {},
		"/early": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		},
		"/empty": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) },
		"/hijack": func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
				w.WriteHeader(http.StatusNotImplemented)
			}
		},
		"/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	srv := httptest.NewUnstartedServer(k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		handlers[r.URL.Path](w, r)
	})))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	defer srv.Close()
	for path, status := range map[string]string{"/nothing": "200", "/early": "200", "/empty": "200", "/hijack": "501", "/abort": ""} {
		runs.Store(0)
		first, r1 := raw(t, srv, "POST", path, "k")
		second, r2 := raw(t, srv, "POST", path, "k")
		if path == "/early" {
			_, first, _ = strings.Cut(first, "\r\n\r\n") // the 103
		}
		switch {
		case runs.Load() != 1 || r1:
			t.Errorf("%s: %d runs", path, runs.Load())
		case path == "/abort":
			if first != "" || !strings.HasPrefix(second, "HTTP/1.1 409 ") || !strings.Contains(second, "#"+"unknown-outcome") {
				t.Errorf("%s: first\n%s\nsecond\n%s", path, first, second)
			}
		case first != second || !r2 || !strings.HasPrefix(first, "HTTP/1.1 "+status+" "):
			t.Errorf("%s: first\n%s\nsecond (replayed %v)\n%s", path, first, r2, second)
		}
	}
}

// The fields of a connection and the date are not kept, however a handler spells them.
func TestFieldsThatAreNotKept(t *testing.T) {
	h := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["connection"] = []string{"X-Gone"}
		w.Header()["x-gone"] = []string{"1"}
		w.Header()["date"] = []string{"Thu, 01 Jan 1970 00:00:00 GMT"}
		w.Header()["x-kept"] = []string{"1"}
		w.WriteHeader(204)
	}))
	post(h, "k", "")
	got := post(h, "k", "").Header()
	if fmt.Sprint(got) != "map[Idempotency-Replayed:[true] x-kept:[1]]" {
		t.Errorf("replayed %v", got)
	}
}
