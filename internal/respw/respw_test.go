package respw_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/respw"
)

// seen records the calls of the hooks.
type seen struct {
	statuses []int
	body     strings.Builder
	refuse   bool
}

func (s *seen) hooks(w http.ResponseWriter) respw.Hooks {
	return respw.Hooks{
		Header: func(status int) bool {
			s.statuses = append(s.statuses, status)
			if s.refuse {
				http.Error(w, "replaced", http.StatusServiceUnavailable)
				return false
			}
			w.Header().Set("X-Hook", "ran")
			return true
		},
	}
}

// serve runs handler behind the wrapper on a real server and returns what the hooks saw.
func serve(t *testing.T, h2 bool, s *seen, tee bool, handler http.HandlerFunc) (*http.Response, string, error) {
	t.Helper()
	done := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		hooks := s.hooks(w)
		if tee {
			hooks.Body = func(p []byte, _ error) { s.body.Write(p) }
		}
		b, rw := respw.Wrap(w, hooks)
		handler(rw, r)
		b.Finish()
	}))
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if got, want := resp.ProtoMajor == 2, h2; got != want {
		t.Fatalf("HTTP/2 spoken: got %v, want %v", got, want)
	}
	body, err := io.ReadAll(resp.Body)
	<-done
	return resp, string(body), err
}

func TestHeaderHookRunsOnceBeforeTheFinalHeader(t *testing.T) {
	cases := []struct {
		name     string
		handler  http.HandlerFunc
		statuses string
		body     string
	}{
		{name: "Write", handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); w.Write([]byte("b")) }, statuses: "[200]", body: "ab"},
		{name: "WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); io.WriteString(w, "a") }, statuses: "[201]", body: "a"},
		{name: "WriteString", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.(io.StringWriter).WriteString("a")
			w.(io.StringWriter).WriteString("b")
		}, statuses: "[200]", body: "ab"},
		{name: "ReadFrom", handler: func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(strings.NewReader("abc"), 2)) }, statuses: "[200]", body: "ab"},
		{name: "Flush", handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "a") }, statuses: "[200]", body: "a"},
		{name: "ResponseController", handler: func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}, statuses: "[200]"},
		{name: "early hints first", handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) }, statuses: "[204]"},
		{name: "nothing written", handler: func(http.ResponseWriter, *http.Request) {}, statuses: "[0]"},
		{name: "ServeContent", handler: func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("abc"))
		}, statuses: "[200]", body: "abc"},
	}
	for _, h2 := range []bool{false, true} {
		for _, tee := range []bool{false, true} {
			for _, tc := range cases {
				t.Run(fmt.Sprintf("http2=%v/tee=%v/%s", h2, tee, tc.name), func(t *testing.T) {
					t.Parallel()
					s := &seen{}
					resp, body, err := serve(t, h2, s, tee, tc.handler)
					if err != nil {
						t.Fatal(err)
					}
					if got := fmt.Sprint(s.statuses); got != tc.statuses {
						t.Errorf("statuses seen: got %v, want %v", got, tc.statuses)
					}
					if body != tc.body {
						t.Errorf("body: got %q, want %q", body, tc.body)
					}
					if tee && s.body.String() != tc.body {
						t.Errorf("body seen: got %q, want %q", s.body.String(), tc.body)
					}
					if got := resp.Header.Get("X-Hook"); got != "ran" {
						t.Errorf("header set by the hook: got %q, want it sent", got)
					}
				})
			}
		}
	}
}

func TestARefusalReplacesTheWholeResponse(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", h2), func(t *testing.T) {
			s := &seen{refuse: true}
			resp, body, err := serve(t, h2, s, false, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusCreated)
				if _, err := io.WriteString(w, "secret"); !errors.Is(err, respw.ErrReplaced) {
					t.Errorf("Write after a refusal: got %v, want ErrReplaced", err)
				}
				if _, err := io.Copy(w, strings.NewReader("secret")); !errors.Is(err, respw.ErrReplaced) {
					t.Errorf("ReadFrom after a refusal: got %v, want ErrReplaced", err)
				}
				if err := http.NewResponseController(w).Flush(); !errors.Is(err, respw.ErrReplaced) {
					t.Errorf("Flush after a refusal: got %v, want ErrReplaced", err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := resp.StatusCode, http.StatusServiceUnavailable; got != want {
				t.Errorf("status: got %d, want %d", got, want)
			}
			if got, want := body, "replaced\n"; got != want {
				t.Errorf("body: got %q, want %q", got, want)
			}
		})
	}
}

func TestEarlyHintsReachTheClient(t *testing.T) {
	s := &seen{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b, rw := respw.Wrap(w, s.hooks(w))
		rw.Header().Set("Link", "</a.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.WriteHeader(http.StatusOK)
		b.Finish()
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	tp := textproto.NewReader(bufio.NewReader(conn))
	line, _ := tp.ReadLine()
	if !strings.Contains(line, "103") {
		t.Fatalf("first status line: got %q, want 103", line)
	}
	hints, _ := tp.ReadMIMEHeader()
	if got := hints.Get("X-Hook"); got != "" {
		t.Errorf("the hook ran before the 103: X-Hook %q", got)
	}
	if line, _ = tp.ReadLine(); !strings.Contains(line, "200") {
		t.Errorf("second status line: got %q, want 200", line)
	}
}

func TestHijackCountsAs101(t *testing.T) {
	s := &seen{}
	hijacked := make(chan bool, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b, rw := respw.Wrap(w, s.hooks(w))
		conn, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer conn.Close()
		buf.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
		buf.Flush()
		hijacked <- b.Hijacked()
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	got, _ := io.ReadAll(conn)
	if !strings.HasSuffix(string(got), "hello") {
		t.Errorf("over the hijacked connection: got %q", got)
	}
	if !<-hijacked || fmt.Sprint(s.statuses) != "[101]" {
		t.Errorf("hijack: statuses seen %v, want [101]", s.statuses)
	}
}

// bare is a writer without optional interfaces.
type bare struct{ http.ResponseWriter }

func (bare) Header() http.Header         { return http.Header{} }
func (bare) Write(p []byte) (int, error) { return len(p), nil }
func (bare) WriteHeader(int)             {}

func TestFlushUnsupportedLeavesTheResponseAlone(t *testing.T) {
	s := &seen{}
	b, rw := respw.Wrap(bare{}, s.hooks(bare{}))
	if err := http.NewResponseController(rw).Flush(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Flush: got %v, want ErrNotSupported", err)
	}
	if len(s.statuses) != 0 || b.Status() != 0 {
		t.Errorf("a flush that cannot be done ran the hook: %v", s.statuses)
	}
}

func TestCountsWhatWasWritten(t *testing.T) {
	b, rw := respw.Wrap(httptest.NewRecorder(), respw.Hooks{})
	rw.Write([]byte("ab"))
	io.WriteString(rw, "cd")
	io.Copy(rw, strings.NewReader("ef"))
	if got, want := b.Written(), int64(6); got != want {
		t.Errorf("written: got %d, want %d", got, want)
	}
	if got, want := b.Status(), 200; got != want {
		t.Errorf("status: got %d, want %d", got, want)
	}
}
