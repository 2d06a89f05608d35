package echomw_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/redishttp/redishttp/adapters/echomw"
)

const patience = 30 * time.Second

func server(t *testing.T, h2 bool, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *httptest.Server {
	e := newEcho()
	e.GET("/", h, m...)
	srv := httptest.NewUnstartedServer(e)
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func TestStreams(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		got := make(chan struct{})
		srv := server(t, h2, func(c *echo.Context) error {
			rc := http.NewResponseController(c.Response())
			if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(patience)), rc.SetReadDeadline(time.Now().Add(patience))); err != nil {
				t.Errorf("deadlines: %v", err)
			}
			io.WriteString(c.Response(), "data: one\n\n")
			if err := rc.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			select {
			case <-got:
			case <-time.After(patience):
				t.Error("the first event did not arrive before the handler's end")
			}
			_, err := io.WriteString(c.Response(), "data: two\n\n")
			return err
		}, echomw.Wrap((&spy{}).Handler), echomw.Wrap(identity))
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body := bufio.NewReader(resp.Body)
		if line, err := body.ReadString('\n'); line != "data: one\n" || err != nil {
			t.Errorf("HTTP/2 %v: first: %q, %v", h2, line, err)
		}
		close(got)
		if rest, _ := io.ReadAll(body); string(rest) != "\ndata: two\n\n" {
			t.Errorf("HTTP/2 %v: rest: %q", h2, rest)
		}
		resp.Body.Close()
	}
}

// cannotFlush is a server's writer of the simplest kind.
type cannotFlush struct{ http.ResponseWriter }

func TestSaysThatItCannotFlush(t *testing.T) {
	e := newEcho()
	e.GET("/", func(*echo.Context) error { return nil }, echomw.Wrap(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("got %v, want %v", err, http.ErrNotSupported)
			}
		})
	}))
	e.ServeHTTP(cannotFlush{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
}

func TestHijacks(t *testing.T) {
	hijack := func(c *echo.Context) error {
		conn, buf, err := http.NewResponseController(c.Response()).Hijack()
		if err != nil {
			return c.String(501, err.Error())
		}
		defer conn.Close()
		buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nover to you")
		return buf.Flush()
	}
	var log strings.Builder
	plain := httptest.NewUnstartedServer(server(t, false, hijack, echomw.Wrap((&spy{}).Handler), echomw.Wrap(identity)).Config.Handler)
	plain.Config.ErrorLog = newLog(&log)
	plain.Start()
	conn, err := net.Dial("tcp", plain.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	got, _ := io.ReadAll(conn)
	if !strings.HasSuffix(string(got), "\r\n\r\nover to you") {
		t.Errorf("got %q", got)
	}
	conn.Close()
	plain.Close()
	if log.Len() > 0 {
		t.Errorf("the server complains: %s", log.String())
	}

	srv := server(t, true, hijack, echomw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for rw := w; ; {
				if _, ok := rw.(http.Hijacker); ok {
					t.Errorf("HTTP/2: %T passes for a Hijacker", rw)
				}
				u, ok := rw.(interface{ Unwrap() http.ResponseWriter })
				if !ok {
					break
				}
				rw = u.Unwrap()
			}
			next.ServeHTTP(w, r)
		})
	}))
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 501 || resp.ProtoMajor != 2 {
		t.Errorf("HTTP/2: got %s %s, want 501", resp.Proto, resp.Status)
	}
}

func TestPassesInformationalResponses(t *testing.T) {
	for name, outer := range map[string]echo.MiddlewareFunc{"bare": echomw.Wrap(identity), "compressed": echomiddleware.Gzip()} {
		t.Run(name, func(t *testing.T) {
			e := newEcho()
			e.GET("/", func(c *echo.Context) error {
				response, err := echo.UnwrapResponse(c.Response())
				if err != nil {
					return err
				}
				response.Header().Set("Link", "</a.css>; rel=preload")
				response.Unwrap().WriteHeader(http.StatusEarlyHints)
				if response.Committed {
					t.Error("103 passes for the answer")
				}
				return c.String(201, "made")
			}, outer, echomw.Wrap((&spy{}).Handler), echomw.Wrap(identity))
			srv := httptest.NewServer(e)
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(got), "HTTP/1.1 103 ") || !strings.Contains(string(got), "\r\n\r\nHTTP/1.1 201 ") {
				t.Errorf("got %q, want a 103 and a 201", got)
			}
		})
	}
}

// A flush passes Echo's own writers, and begins the response for Echo too.
func TestFlushesThroughEchosWriters(t *testing.T) {
	e := newEcho()
	arrived := make(chan struct{})
	e.GET("/", func(c *echo.Context) error {
		io.WriteString(c.Response(), "first")
		if err := http.NewResponseController(c.Response()).Flush(); err != nil {
			t.Error(err)
		}
		<-arrived
		return nil
	}, echomiddleware.Gzip(), echomw.Wrap((&spy{}).Handler))
	srv := httptest.NewServer(e)
	defer srv.Close()
	resp, err := http.Get(srv.URL) // which takes gzip
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "first" || !resp.Uncompressed {
		t.Errorf("got %q, %v, compressed: %v", b, err, resp.Uncompressed)
	}
	close(arrived)
}
