package routertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// each runs a test for each router with each middleware.
func each(t *testing.T, s settings, test func(t *testing.T, rt router, c *chain)) {
	t.Helper()
	if s.rdb == nil {
		s.rdb = sharedClient(t)
	}
	for _, rt := range routers() {
		for _, subject := range subjects {
			t.Run(rt.name+"/"+subject, func(t *testing.T) { test(t, rt, newChain(t, subject, s)) })
		}
	}
}

func start(t *testing.T, rt router, c *chain, h handler) string {
	t.Helper()
	return serve(t, rt.build(app{c.global, c.local, []string{"GET"}, h})).URL + "/case/7"
}

// Server-sent events arrive when they are sent, and the session changed before
// the first sets its cookie with it.
func TestStreams(t *testing.T) {
	each(t, settings{}, func(t *testing.T, rt router, c *chain) {
		got := make(chan struct{})
		url := start(t, rt, c, func(x *exchange) error {
			visit := c.visit(x)
			x.w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(x.w, "data: %d%s\n\n", i, visit)
				if err := http.NewResponseController(x.w).Flush(); err != nil {
					t.Error(err)
				}
				select {
				case <-got:
				case <-time.After(patience):
					t.Error("an event did not arrive before the next")
					return nil
				}
			}
			return nil
		})
		resp, err := client(t).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		visit := ""
		if c.sessions != nil {
			visit = " visit 1"
			if len(resp.Cookies()) != 1 {
				t.Errorf("cookies: %v", resp.Cookies())
			}
		}
		body := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := body.ReadString('\n')
			if want := fmt.Sprintf("data: %d%s\n", i, visit); err != nil || line != want {
				t.Errorf("event: got %q, %v, want %q", line, err, want)
			}
			_, _ = body.Discard(1)
			got <- struct{}{}
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("rest: %q, %v", rest, err)
		}
	})
}

// Messages go both ways, and a session changed before the upgrade sets its
// cookie with it.
func TestWebSockets(t *testing.T) {
	// The first connection may hold its lock until its handler has returned.
	each(t, settings{wait: patience}, func(t *testing.T, rt router, c *chain) {
		url := start(t, rt, c, func(x *exchange) error {
			visit := c.visit(x)
			conn, err := websocket.Accept(x.w, x.r, nil)
			if err != nil {
				t.Errorf("accept: %v", err)
				return nil
			}
			defer conn.CloseNow()
			for {
				kind, message, err := conn.Read(x.r.Context())
				if err != nil {
					return nil
				}
				if err := conn.Write(x.r.Context(), kind, append(message, visit...)); err != nil {
					return nil
				}
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		header := http.Header{}
		for visit := 1; visit <= 2; visit++ {
			conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header})
			if err != nil {
				t.Fatal(err)
			}
			want := "hello"
			if c.sessions != nil {
				want += fmt.Sprint(" visit ", visit)
				if cookies := resp.Cookies(); len(cookies) == 1 {
					header.Set("Cookie", cookies[0].Name+"="+cookies[0].Value)
				} else {
					t.Fatalf("cookies of the upgrade: %v", cookies)
				}
			}
			for range 2 {
				if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, got, err := conn.Read(ctx); err != nil || string(got) != want {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
			}
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		}
	})
}

// A client that goes away ends the context of its request, whatever stands between.
func TestCancels(t *testing.T) {
	each(t, settings{}, func(t *testing.T, rt router, c *chain) {
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan bool, 1)
		url := start(t, rt, c, func(x *exchange) error {
			leave()
			select {
			case <-x.r.Context().Done():
				ended <- true
			case <-time.After(patience):
				ended <- false
			}
			return x.send(200, text, "to nobody")
		})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client(t).Do(req); err == nil {
			resp.Body.Close()
		}
		if !<-ended {
			t.Error("the context of the request goes on")
		}
	})
}

type ctxKey struct{}

// What a middleware further out puts into the context is there in the handler, in the
// order of the chain.
func TestPassesContextValues(t *testing.T) {
	add := func(name string) middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				before, _ := r.Context().Value(ctxKey{}).(string)
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, before+name)))
			})
		}
	}
	each(t, settings{}, func(t *testing.T, rt router, c *chain) {
		c.global = append([]middleware{add("a")}, append(c.global, add("b"))...)
		c.local = append(c.local, add("c"))
		url := start(t, rt, c, func(x *exchange) error {
			value, _ := x.r.Context().Value(ctxKey{}).(string)
			return x.send(200, text, value)
		})
		resp, err := client(t).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, _ := io.ReadAll(resp.Body); strings.TrimSpace(string(got)) != "abc" {
			t.Errorf("got %q, want abc", got)
		}
	})
}
