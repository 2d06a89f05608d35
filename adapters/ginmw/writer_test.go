package ginmw_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/redishttp/redishttp/adapters/ginmw"
)

const patience = 30 * time.Second

// The writer answers gin's questions as gin's own does, at each step.
func TestTheWriterIsLikeGins(t *testing.T) {
	steps := map[string][]func(gin.ResponseWriter){
		"nothing":              {},
		"write":                {write("a"), write("bc")},
		"string":               {func(w gin.ResponseWriter) { w.WriteString("abc") }},
		"status, write":        {status(201), write("a"), status(500)},
		"status, status":       {status(500), status(204)},
		"status, now":          {status(404), now, now, write("late")},
		"now":                  {now, status(500)},
		"flush":                {flush, write("a")},
		"status, flush, write": {status(202), flush, write("a")},
		"no status":            {status(0), status(-1), write("a")},
	}
	for name, todo := range steps {
		t.Run(name, func(t *testing.T) {
			run := func(use ...gin.HandlerFunc) string {
				var seen strings.Builder
				look := func(w gin.ResponseWriter) {
					fmt.Fprintln(&seen, w.Status(), w.Size(), w.Written(), w.Pusher() != nil)
				}
				e := gin.New()
				e.Use(func(c *gin.Context) { c.Next(); look(c.Writer) })
				e.Use(use...)
				e.GET("/", func(c *gin.Context) {
					look(c.Writer)
					for _, step := range todo {
						step(c.Writer)
						look(c.Writer)
					}
				})
				w := serve(e, "GET", "/")
				fmt.Fprintln(&seen, w.Code, w.Header(), w.Body)
				return seen.String()
			}
			want := run()
			// Further out, gin's own writer has sent what was only noted.
			got := run(ginmw.Wrap((&spy{}).Handler), ginmw.Wrap(identity))
			if wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n"); name == "status, status" {
				wantLines[len(todo)+1], gotLines[len(todo)+1] = "", ""
				want, got = strings.Join(wantLines, "\n"), strings.Join(gotLines, "\n")
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func write(s string) func(gin.ResponseWriter) {
	return func(w gin.ResponseWriter) { w.Write([]byte(s)) }
}

func status(n int) func(gin.ResponseWriter) { return func(w gin.ResponseWriter) { w.WriteHeader(n) } }
func now(w gin.ResponseWriter)              { w.WriteHeaderNow() }
func flush(w gin.ResponseWriter)            { w.Flush() }

func server(t *testing.T, h2 bool, handlers ...gin.HandlerFunc) *httptest.Server {
	e := gin.New()
	e.GET("/", handlers...)
	srv := httptest.NewUnstartedServer(e)
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func TestStreams(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		got := make(chan struct{})
		srv := server(t, h2, ginmw.Wrap((&spy{}).Handler), ginmw.Wrap(identity), func(c *gin.Context) {
			rc := http.NewResponseController(c.Writer)
			if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(patience)), rc.SetReadDeadline(time.Now().Add(patience))); err != nil {
				t.Errorf("deadlines: %v", err)
			}
			c.SSEvent("", "one")
			if err := rc.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			select {
			case <-got:
			case <-time.After(patience):
				t.Error("the first event did not arrive before the handler's end")
			}
			c.SSEvent("", "two")
		})
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body := bufio.NewReader(resp.Body)
		if line, err := body.ReadString('\n'); line != "event:\n" && line != "data:one\n" || err != nil {
			t.Errorf("HTTP/2 %v: first: %q, %v", h2, line, err)
		}
		close(got)
		rest, _ := io.ReadAll(body)
		if !strings.Contains(string(rest), "data:two\n") {
			t.Errorf("HTTP/2 %v: rest: %q", h2, rest)
		}
		resp.Body.Close()
	}
}

// A client that is gone shows in the error of a flush, and by CloseNotify.
func TestNoticesThatTheClientIsGone(t *testing.T) {
	failed, notified := make(chan error, 1), make(chan bool, 1)
	ctx, leave := context.WithCancel(t.Context())
	srv := server(t, false, ginmw.Wrap(identity), func(c *gin.Context) {
		gone := c.Writer.CloseNotify()
		leave()
		select {
		case <-gone:
			notified <- true
		case <-time.After(patience):
			notified <- false
		}
		rc, deadline := http.NewResponseController(c.Writer), time.Now().Add(patience)
		err := error(nil)
		for err == nil && time.Now().Before(deadline) {
			io.WriteString(c.Writer, strings.Repeat("x", 1<<16))
			err = rc.Flush()
		}
		failed <- err
	})
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := srv.Client().Do(req); err == nil {
		resp.Body.Close()
	}
	if !<-notified {
		t.Error("CloseNotify says nothing")
	}
	if err := <-failed; err == nil {
		t.Error("a flush to a closed connection has no error")
	}
}

func TestHijacks(t *testing.T) {
	hijack := func(c *gin.Context) {
		conn, buf, err := c.Writer.Hijack()
		if err != nil {
			c.String(501, "%v", err)
			return
		}
		defer conn.Close()
		if !c.Writer.Written() {
			t.Error("more may be written to a hijacked connection")
		}
		buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nover to you")
		buf.Flush()
	}
	var log strings.Builder
	srv := server(t, false, ginmw.Wrap((&spy{}).Handler), ginmw.Wrap(identity), hijack)
	srv.Config.ErrorLog = nil
	plain := httptest.NewUnstartedServer(srv.Config.Handler)
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

	srv = server(t, true, ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := w.(http.Hijacker); ok {
				t.Error("HTTP/2: the middleware's writer is a Hijacker")
			}
			next.ServeHTTP(w, r)
		})
	}), hijack)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 501 || resp.ProtoMajor != 2 {
		t.Errorf("HTTP/2: got %s %s, want 501", resp.Proto, resp.Status)
	}
}

func TestDoesNotHijackABody(t *testing.T) {
	srv := server(t, false, ginmw.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(buffer{w}, r) })
	}), func(c *gin.Context) {
		c.String(200, "a")
		if conn, _, err := c.Writer.Hijack(); err == nil {
			conn.Close()
			t.Error("the connection was taken over in the middle of a body")
		}
	})
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// buffer keeps the body back, so that gin does not know of it.
type buffer struct{ http.ResponseWriter }

func (b buffer) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b buffer) WriteHeader(int) {}

func (b buffer) Write(p []byte) (int, error) { return len(p), nil }

func TestPassesInformationalResponses(t *testing.T) {
	for name, early := range map[string]func(*gin.Context){
		"by gin's writer": func(c *gin.Context) { c.Writer.WriteHeader(http.StatusEarlyHints) },
		"by what it is around": func(c *gin.Context) {
			c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap().WriteHeader(http.StatusEarlyHints)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := gin.New()
			e.GET("/", ginmw.Wrap((&spy{}).Handler), ginmw.Wrap(identity), func(c *gin.Context) {
				c.Header("Link", "</a.css>; rel=preload")
				early(c)
				if c.Writer.Written() {
					t.Error("103 passes for the answer")
				}
				c.String(201, "made")
			})
			srv := httptest.NewServer(e)
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(got), "HTTP/1.1 103 ") || !strings.Contains(string(got), "\r\n\r\nHTTP/1.1 201 ") {
				t.Errorf("got %q, want a 103 and a 201", got)
			}
		})
	}
}

func TestPushes(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		srv := server(t, h2, ginmw.Wrap((&spy{}).Handler), func(c *gin.Context) { c.String(200, "%v", c.Writer.Pusher() != nil) })
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != fmt.Sprint(h2) {
			t.Errorf("HTTP/2 %v: a pusher: %s", h2, got)
		}
	}
}
