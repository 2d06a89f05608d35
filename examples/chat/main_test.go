package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// Two instances, a reader of each kind on each: all see the same, in the same
// order, by the same ids.
func TestEveryTopology(t *testing.T) {
	for name, redisURL := range map[string]string{
		"embedded":   "",
		"standalone": redistest.NewServer(t).URL(),
		"sentinel":   redistest.NewSentinel(t).Target().URL,
		"cluster":    redistest.NewCluster(t, 0).Target().URL,
	} {
		t.Run(name, func(t *testing.T) {
			redistest.NoLeaks(t)
			defer http.DefaultClient.CloseIdleConnections()
			one := serve(t, redisURL)
			two := one
			if redisURL != "" {
				two = serve(t, redisURL)
			}
			readers := []*reader{read(t, overEvents, "", one), read(t, overSocket, "", one), read(t, overEvents, "", two), read(t, overSocket, "", two)}
			ann, bob := join(t, one, "Ann"), join(t, two, "Bob")
			var want []string
			for i := range 10 {
				ann.say(fmt.Sprint("from one ", i))
				bob.say(fmt.Sprint("from two ", i))
				want = append(want, fmt.Sprint("from one ", i), fmt.Sprint("from two ", i))
			}
			for _, r := range readers {
				r.wants(want...)
			}
			for i, r := range readers {
				if got, want := fmt.Sprint(r.got()), fmt.Sprint(readers[0].got()); got != want {
					t.Errorf("reader %d: got %s, want %s", i, got, want)
				}
			}
			events := readers[0].got()
			if a, b := events[0], events[1]; a.Name != "Ann" || b.Name != "Bob" || a.From == b.From || a.From != events[2].From {
				t.Errorf("authors: %+v, %+v, %+v", a, b, events[2])
			}
			newcomer := read(t, overEvents, "", two)
			newcomer.wants(want...)
		})
	}
}

// The programs as users start them, and one of them killed.
func TestTwoProcesses(t *testing.T) {
	server := redistest.NewServer(t)
	binary := exampletest.Build(t)
	one := exampletest.Start(t, binary, server.URL(), "-burst", "1000")
	two := exampletest.Start(t, binary, server.URL(), "-burst", "1000")
	events := read(t, overEvents, "", one.URL, two.URL)
	socket := read(t, overSocket, "", one.URL, two.URL)
	bob := join(t, two.URL, "Bob")
	var want []string
	say := func(text string) {
		bob.say(text)
		want = append(want, text)
	}
	for i := range 20 {
		say(fmt.Sprint("before ", i))
	}
	events.wants(want...)
	one.Kill()
	for i := range 20 {
		say(fmt.Sprint("after ", i))
	}
	events.wants(want...)
	socket.wants(want...)

	resp, err := bob.Get(two.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if policy := resp.Header.Get("Content-Security-Policy"); resp.Request.URL.Path != "/rooms/lobby" ||
		!strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") || !strings.Contains(string(body), `data-name="Bob"`) {
		t.Errorf("the page at %s with %s: %s", resp.Request.URL, policy, body)
	}
	two.Stop() // with both readers connected
}

func TestShutdownEndsConnections(t *testing.T) {
	i := start(t, redistest.NewServer(t).URL())
	p := somebody(t, i.base)
	events, err := p.events(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := p.socket(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { i.stop(); close(stopped) }()
	if _, err := socket.next(); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ended with %v", err)
	}
	if _, err := events.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the events ended with %v", err)
	}
	<-stopped
}
