// The contract suite: every middleware against every promise they all make, on
// standalone, Sentinel and Cluster.
package redishttp_test

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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/chaintest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestKeepsInterfaces(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		for _, h2 := range []bool{false, true} {
			probe := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, f := w.(http.Flusher)
				_, h := w.(http.Hijacker)
				_, rf := w.(io.ReaderFrom)
				_, p := w.(http.Pusher)
				//lint:ignore SA1019 gin needs it
				_, c := w.(http.CloseNotifier)
				fmt.Fprintf(w, "flush=%v hijack=%v readfrom=%v push=%v closenotify=%v", f, h, rf, p, c)
			})
			_, bare := chaintest.Get(t, chaintest.Serve(t, h2, probe), "/")
			_, wrapped := chaintest.Get(t, chaintest.Serve(t, h2, in.Wrap(probe)), "/")
			if bare != wrapped {
				t.Errorf("http2=%v: got %s, want %s", h2, wrapped, bare)
			}
		}
	})
}

func TestResponseControllerWorksThroughTheWrapper(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		for _, h2 := range []bool{false, true} {
			first := make(chan struct{})
			srv := chaintest.Serve(t, h2, in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				rc := http.NewResponseController(w)
				if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("SetWriteDeadline: %v", err)
				}
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, "data: 1\n\n")
				if err := rc.Flush(); err != nil {
					t.Errorf("Flush: %v", err)
				}
				<-first // the client has the event before the handler ends
				io.WriteString(w, "data: 2\n\n")
			})))
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			body := bufio.NewReader(resp.Body)
			line, err := body.ReadString('\n')
			if err != nil || line != "data: 1\n" {
				t.Errorf("http2=%v: first event: got %q, %v", h2, line, err)
			}
			close(first)
			rest, _ := io.ReadAll(body)
			if got, want := string(rest), "\ndata: 2\n\n"; got != want {
				t.Errorf("http2=%v: rest: got %q, want %q", h2, got, want)
			}
			resp.Body.Close()
		}
	})
}

func TestHijackWorksThroughTheWrapper(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		srv := httptest.NewServer(in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if in.Use != nil {
				in.Use(r)
			}
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			defer conn.Close()
			buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nover to you")
			buf.Flush()
		})))
		defer srv.Close()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		got, _ := io.ReadAll(conn)
		if !strings.HasSuffix(string(got), "\r\n\r\nover to you") {
			t.Errorf("over the hijacked connection: got %q", got)
		}
	})
}

func TestPassesInformationalResponses(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		srv := httptest.NewServer(in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload; as=style")
			w.WriteHeader(http.StatusEarlyHints)
			if in.Use != nil {
				in.Use(r)
			}
			w.WriteHeader(http.StatusCreated)
		})))
		defer srv.Close()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
		got, _ := io.ReadAll(conn)
		hints, final, ok := strings.Cut(string(got), "\r\n\r\n")
		if !ok || !strings.HasPrefix(hints, "HTTP/1.1 103 ") || !strings.HasPrefix(final, "HTTP/1.1 201 ") {
			t.Fatalf("got %q, want a 103 and then a 201", got)
		}
		if strings.Contains(hints, "Set-Cookie") {
			t.Errorf("a cookie went out with the 103: %q", hints)
		}
		if in.Use != nil && !strings.Contains(final, "Set-Cookie") {
			t.Errorf("what was changed after the 103 is lost: no cookie in %q", final)
		}
	})
}

func TestPassesContextValuesAndCancellation(t *testing.T) {
	type key struct{}
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		cause := errors.New("the caller gave up")
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		h := in.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Context().Value(key{}); got != "value" {
				t.Errorf("context value: got %v, want it passed on", got)
			}
			cancel(cause)
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
				t.Error("cancelling the request's context did not reach the handler")
			}
			if got := context.Cause(r.Context()); !errors.Is(got, cause) {
				t.Errorf("cause: got %v, want %v", got, cause)
			}
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	})
}

func TestAPanicReachesTheServerAndHoldsNothing(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		var calls atomic.Int32
		srv := chaintest.Serve(t, false, in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				w.Header().Set("Cache-Control", "public, max-age=60")
				io.WriteString(w, "half an ans")
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, "whole")
		})))
		resp, err := srv.Client().Get(srv.URL + "/page")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("the panic did not reach the server: the client saw a complete response")
		}
		start := time.Now()
		second, body := chaintest.Get(t, srv, "/page")
		if second.StatusCode != http.StatusOK || body != "whole" {
			t.Errorf("after the panic: got %d %q, want 200 \"whole\"", second.StatusCode, body)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("after the panic a request took %v: something was still held", took)
		}
	})
}

func TestTwoInstancesDoNotShareState(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		outer, inner := s.Make(t, rdb, prefix, "outer"), s.Make(t, rdb, prefix, "inner")
		var calls atomic.Int32
		srv := chaintest.Serve(t, false, outer.Wrap(inner.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "call %d", calls.Add(1))
			if inner.Use != nil {
				io.WriteString(w, inner.Use(r))
			}
		}))))
		for i := range 3 {
			resp, body := chaintest.Get(t, srv, "/")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("request %d through two stacked instances: got %d %q, want 200", i, resp.StatusCode, body)
			}
			// Each counts for itself: were the counter shared, it would fall by two.
			if want := fmt.Sprintf(`"outer";r=%d`, 999-i); s.Name == "ratelimit" && !strings.Contains(strings.Join(resp.Header.Values("RateLimit"), ","), want) {
				t.Errorf("request %d: RateLimit %q, want %s", i, resp.Header.Values("RateLimit"), want)
			}
		}
	})
}

func TestNothingLeaks(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		redistest.NoLeaks(t) // first, so that it looks when the client is closed
		rdb := g.Client(t)
		in := s.Make(t, rdb, redistest.Prefix(t), "a")
		h := in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if in.Use != nil {
				in.Use(r)
			}
			io.WriteString(w, "ok")
		}))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel() // as net/http does when the handler returns
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
			})
		}
		wg.Wait()
	})
}

// hostile requests: none may panic, none may be answered 500, all must end.
func TestHostileRequestsAreAnsweredCleanly(t *testing.T) {
	chaintest.Each(t, func(t *testing.T, s chaintest.Subject, g *redistest.Target) {
		in := s.Make(t, g.Client(t), redistest.Prefix(t), "a")
		h := in.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if in.Use != nil {
				in.Use(r)
			}
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "ok")
		}))
		junk := []string{"", "\x00", "{}", "}{", strings.Repeat("a", 70_000), "\xff\xfe", "::1", "a,,b", "=;=", `"`, "max-age=99999999999999999999", "bytes=-", "W/\"", "%zz"}
		for _, header := range []string{"Cookie", "Cache-Control", "X-Forwarded-For", "Forwarded", "If-None-Match", "If-Modified-Since", "Range", "Vary", "Host", "Authorization", "RateLimit"} {
			for _, value := range junk {
				for _, target := range []string{"/", "/a%2Fb?x=%00;y", "/%7B%7D", "//", "/?" + strings.Repeat("q", 5000)} {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
					r.Header[header] = []string{value, value}
					if header == "Host" {
						r.Host = value
					}
					if header == "Cookie" {
						r.Header["Cookie"] = []string{"__Host-a=" + value, value}
					}
					r.RemoteAddr = value
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code >= 500 && !(w.Code == http.StatusGatewayTimeout && header == "Cache-Control") {
						t.Fatalf("%s: %.20q, target %.20q: status %d", header, value, target, w.Code)
					}
				}
			}
		}
	})
}
