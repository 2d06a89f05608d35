package respw_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/respw"
)

const patience = 20 * time.Second

// fake is a writer that notes which of its optional methods are called.
type fake struct {
	bare
	called string
}

func (f *fake) flush() { f.called += "f" }
func (f *fake) hijack() (net.Conn, *bufio.ReadWriter, error) {
	f.called += "h"
	return nil, nil, errors.New("no socket")
}

func (f *fake) readFrom(src io.Reader) (int64, error) {
	f.called += "r"
	return io.Copy(io.Discard, src)
}
func (f *fake) closeNotify() <-chan bool             { f.called += "c"; return nil }
func (f *fake) push(string, *http.PushOptions) error { f.called += "p"; return nil }

// unwrapping hides everything but Unwrap, as many wrappers do.
type unwrapping struct {
	bare
	inner http.ResponseWriter
}

func (u unwrapping) Unwrap() http.ResponseWriter { return u.inner }

// call calls every optional method that w has, and names them.
func call(w http.ResponseWriter) (has string) {
	if f, ok := w.(http.Flusher); ok {
		has += "f"
		f.Flush()
	}
	if h, ok := w.(http.Hijacker); ok {
		has += "h"
		_, _, _ = h.Hijack()
	}
	if r, ok := w.(io.ReaderFrom); ok {
		has += "r"
		_, _ = r.ReadFrom(strings.NewReader("x"))
	}
	//lint:ignore SA1019 gin needs it
	if c, ok := w.(http.CloseNotifier); ok {
		has += "c"
		c.CloseNotify()
	}
	if p, ok := w.(http.Pusher); ok {
		has += "p"
		_ = p.Push("/", nil)
	}
	return has
}

func TestOffersExactlyWhatTheWriterOffers(t *testing.T) {
	for set := range canPush << 1 {
		want := ""
		for i, name := range []string{"f", "h", "r", "c", "p"} {
			if set&(1<<i) != 0 {
				want += name
			}
		}
		inner := &fake{}
		_, rw := respw.Wrap(inner.expose(set), respw.Hooks{})
		if has := call(rw); has != want || inner.called != want {
			t.Errorf("over a writer with %q: offers %q, passes on %q", want, has, inner.called)
		}
		// Behind a wrapper that only unwraps, a controller still reaches
		// Flush and Hijack, so ours must offer them, hooks and all.
		_, rw = respw.Wrap(unwrapping{inner: inner.expose(set)}, respw.Hooks{})
		if has, want := call(rw), strings.Trim(want, "rcp"); has != want {
			t.Errorf("over an unwrapping writer: offers %q, want %q", has, want)
		}
	}
}

// What net/http's own writers offer, over HTTP/1.1 and HTTP/2, is offered, and
// a controller can do through the wrapper what it can without.
func TestOffersWhatTheServersWriterOffers(t *testing.T) {
	look := func(w http.ResponseWriter) string {
		rc := http.NewResponseController(w)
		s := fmt.Sprint(rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.EnableFullDuplex())
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, r := w.(io.ReaderFrom)
		_, p := w.(http.Pusher)
		_, st := w.(io.StringWriter)
		//lint:ignore SA1019 gin needs it
		_, c := w.(http.CloseNotifier)
		return fmt.Sprint(s, f, h, r, p, st, c)
	}
	for _, h2 := range []bool{false, true} {
		var bare, wrapped string
		_, _, err := serve(t, h2, &seen{}, false, func(w http.ResponseWriter, _ *http.Request) {
			wrapped = look(w)
			bare = look(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
		})
		if err != nil || bare != wrapped || !strings.HasSuffix(bare, "true") {
			t.Errorf("HTTP/2 %v: the server's writer %s, ours %s, %v", h2, bare, wrapped, err)
		}
	}
}

// A client that goes away is noticed through CloseNotify.
func TestCloseNotifyReachesTheServer(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		ctx, leave := context.WithCancel(t.Context())
		noticed := make(chan bool, 1)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, rw := respw.Wrap(w, respw.Hooks{})
			//lint:ignore SA1019 gin needs it
			gone := rw.(http.CloseNotifier).CloseNotify()
			leave()
			select {
			case <-gone:
				noticed <- true
			case <-time.After(patience):
				noticed <- false
			}
		}))
		srv.EnableHTTP2 = h2
		srv.StartTLS()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := srv.Client().Do(req); err == nil {
			resp.Body.Close()
		}
		if !<-noticed {
			t.Errorf("HTTP/2 %v: nothing was noticed", h2)
		}
		srv.Close()
	}
}

// A reverse proxy behind the wrapper switches protocols, and streams.
func TestAReverseProxyUpgradesThroughTheWrapper(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = buf.Flush()
		line, _ := buf.ReadString('\n')
		_, _ = buf.WriteString("echo " + line)
		_ = buf.Flush()
	}))
	defer backend.Close()
	to, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := &seen{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, rw := respw.Wrap(w, s.hooks(w))
		proxy.ServeHTTP(rw, r)
		b.Finish()
	}))
	defer front.Close()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	buf := bufio.NewReader(conn)
	resp, err := http.ReadResponse(buf, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("X-Hook") != "ran" {
		t.Fatalf("got %v, %v, want 101 with what the hook has set", resp, err)
	}
	fmt.Fprintln(conn, "hello")
	if got, err := buf.ReadString('\n'); got != "echo hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
