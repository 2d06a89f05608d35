package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/redishttp/redishttp/internal/redistest"
)

// smallWindow has this side's kernel hold little of what is not read.
func smallWindow(transport *http.Transport) {
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		return conn, err
	}
}

// unread opens the lobby's events over a small window, and reads nothing but that
// it is let in.
func unread(t *testing.T, base, after string) (net.Conn, error) {
	t.Helper()
	transport := &http.Transport{}
	smallWindow(transport)
	conn, err := transport.DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	if _, err = fmt.Fprintf(conn, "GET /rooms/lobby/events HTTP/1.0\r\nHost: chat\r\nLast-Event-ID: %s\r\n\r\n", after); err != nil {
		return nil, err
	}
	status := make([]byte, len("HTTP/1.0 200"))
	if _, err := io.ReadFull(conn, status); err != nil {
		return nil, err
	}
	if string(status) != "HTTP/1.0 200" {
		return nil, fmt.Errorf("status line %s", status)
	}
	return conn, nil
}

// Two clients do not read. The others get everything meanwhile, and so do these
// two when they read on: what they have missed, after they were sent away.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	const n, keep = 600, 64
	base := serve(t, server.URL(), func(c *config) { c.keep = keep })
	quick := []*reader{read(t, overEvents, "0-0", base), read(t, overSocket, "0-0", base)}
	conn, err := unread(t, base, "0-0")
	if err != nil {
		t.Fatal(err)
	}
	p := somebody(t, base)
	socket, err := p.socket(t.Context(), "0-0", smallWindow)
	if err != nil {
		t.Fatal(err)
	}
	ann := join(t, base, "Ann")
	pad := " " + strings.Repeat("x", 900)
	var want []string
	ids := make(map[string]bool)
	for i := 0; i < n; i += 60 { // fewer at once than are kept, and the quick ones come along
		for _, id := range fill(t, rdb, 60, pad) {
			ids[id] = true
		}
		want = append(want, numbered(0, 60)...)
		text := fmt.Sprint("and ", i)
		ann.say(text)
		want = append(want, text)
		for _, q := range quick {
			redistest.Eventually(t, patience, func() bool { return len(q.got()) == len(want) }, "of %d messages %d came", len(want), len(q.got()))
		}
	}
	for _, q := range quick {
		for i, e := range q.got() {
			if got := strings.TrimSuffix(e.Text, pad); got != want[i] {
				t.Fatalf("message %d: got %q, want %q", i, got, want[i])
			}
		}
		if n := q.connections(); n != 1 {
			t.Errorf("a quick client had %d connections", n)
		}
	}

	// Now they read.
	next := parse(conn)
	last, got := slowly(t, next)
	if len(got) == 0 || len(got) >= len(want) {
		t.Fatalf("the slow client got %d of %d messages before it was sent away", len(got), len(want))
	}
	rest := read(t, overEvents, last, base)
	whole(t, "events", got, rest, want, pad)

	last, got = slowly(t, func() (event, error) {
		e, err := socket.next()
		if err != nil && websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
			t.Errorf("the slow socket ended with %v", err)
		}
		return e, err
	})
	if len(got) == 0 || len(got) >= len(want) {
		t.Fatalf("the slow socket got %d of %d messages before it was sent away", len(got), len(want))
	}
	whole(t, "socket", got, read(t, overSocket, last, base), want, pad)
}

// slowly reads to the end of a connection.
func slowly(t *testing.T, next func() (event, error)) (last string, texts []string) {
	t.Helper()
	for {
		e, err := next()
		if err != nil {
			return last, texts
		}
		if e.ID != "" {
			last = e.ID
			texts = append(texts, e.Text)
		}
	}
}

// whole checks that a client that came back has each message once, in order.
func whole(t *testing.T, what string, before []string, after *reader, want []string, pad string) {
	t.Helper()
	redistest.Eventually(t, patience, func() bool { return len(before)+len(after.got()) >= len(want) },
		"%s: %d and then %d of %d messages", what, len(before), len(after.got()), len(want))
	got := append(before, after.texts()...)
	for i, text := range got {
		if i >= len(want) || strings.TrimSuffix(text, pad) != want[i] {
			t.Fatalf("%s: message %d of %d is %.20q", what, i, len(got), text)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: got %d messages, want %d", what, len(got), len(want))
	}
}

// A client that never reads is cut off. It had the only place of its address,
// so others of that address are let in when it is gone.
func TestAClientThatNeverReadsIsCutOff(t *testing.T) {
	redistest.Long(t)
	server := redistest.NewServer(t)
	fill(t, server.Client(t), 1000, " "+strings.Repeat("x", 900))
	base := serve(t, server.URL(), func(c *config) { c.streams, c.stall = 1, 5*time.Second })
	newcomer := func() (*connection, bool) {
		c, err := somebody(t, base).events(t.Context(), "")
		if r, ok := errors.AsType[*refused](err); ok && r.StatusCode == http.StatusTooManyRequests {
			return nil, false
		}
		if err != nil {
			t.Fatal(err)
		}
		return c, true
	}
	for transport, open := range map[string]func() error{
		"events": func() error { _, err := unread(t, base, "0-0"); return err },
		"socket": func() error { _, err := somebody(t, base).socket(t.Context(), "0-0", smallWindow); return err },
	} {
		redistest.Eventually(t, patience, func() bool { return open() == nil }, "%s: there is no place", transport)
		redistest.Eventually(t, patience, func() bool {
			c, ok := newcomer()
			if ok { // before the other one
				c.close()
			}
			return !ok
		}, "%s: it has no place", transport)
		redistest.Eventually(t, patience, func() bool {
			c, ok := newcomer()
			if ok {
				c.close()
			}
			return ok
		}, "%s: it was not cut off", transport)
	}
}

// Clients that do not read hold a shutdown up for as long as they may, and no
// longer.
func TestShutdownWithClientsThatDoNotRead(t *testing.T) {
	redistest.Long(t)
	server := redistest.NewServer(t)
	fill(t, server.Client(t), 1000, " "+strings.Repeat("x", 900))
	i := start(t, server.URL(), func(c *config) { c.stall = 3 * time.Second })
	if _, err := unread(t, i.base, "0-0"); err != nil {
		t.Fatal(err)
	}
	if _, err := somebody(t, i.base).socket(t.Context(), "0-0", smallWindow); err != nil {
		t.Fatal(err)
	}
	i.stop() // and fails if that is not in good order
}
