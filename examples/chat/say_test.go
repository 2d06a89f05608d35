package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/redishttp/redishttp/internal/redistest"
)

// A message is said once, however often it is sent with the same nonce: at the
// same time, on two instances, and after an answer that was lost.
func TestAMessageIsSaidOnce(t *testing.T) {
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	one, two := serve(t, "redis://"+proxy.Addr()), serve(t, server.URL())
	ann := join(t, one, "Ann")
	elsewhere := &person{t: t, base: two, Client: ann.Client} // the same cookie, for cookies know no ports
	r := read(t, overEvents, "", two)

	var mu sync.Mutex
	statuses := map[int]int{}
	var senders sync.WaitGroup
	for i := range 20 {
		senders.Go(func() {
			p := ann
			if i%2 == 1 {
				p = elsewhere
			}
			status, _ := p.send("/rooms/lobby/messages", draft{"hello", "a"})
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	senders.Wait()
	// The answer of the one that said it may itself have been late, and lost.
	if statuses[http.StatusCreated] > 1 || statuses[http.StatusCreated]+statuses[http.StatusOK] != 20 {
		t.Errorf("statuses: %v", statuses)
	}

	proxy.SwallowReplies()
	if status, body := ann.once("/rooms/lobby/messages", draft{"lost answer", "b"}); status != http.StatusServiceUnavailable {
		t.Errorf("without an answer of Redis: %d %s", status, body)
	}
	proxy.Heal()
	if status, body := ann.send("/rooms/lobby/messages", draft{"lost answer", "b"}); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("it cannot be said again: %d %s", status, body)
	}
	// Another person's nonces are their own.
	bob := join(t, two, "Bob")
	if status, body := bob.send("/rooms/lobby/messages", draft{"I am Bob", "a"}); status != http.StatusCreated {
		t.Errorf("Bob: %d %s", status, body)
	}
	r.wants("hello", "lost answer", "I am Bob")
}

func TestWhatIsRefused(t *testing.T) {
	server := redistest.NewServer(t)
	base := serve(t, server.URL())
	ann := join(t, base, "Ann")
	stranger := somebody(t, base)
	const lobby, name = "/rooms/lobby/messages", "/name"
	long := strings.Repeat("\U0001F600", 1000)
	for _, test := range []struct {
		what string
		by   *person
		path string
		body any
		want int
	}{
		{"without a name", stranger, lobby, draft{Text: "hi"}, 403},
		{"nothing", ann, lobby, draft{Text: " \n\t\u0000 "}, 422},
		{"1000 characters", ann, lobby, draft{Text: long}, 201},
		{"1001 characters", ann, lobby, draft{Text: long + "x"}, 422},
		{"too large to be read", ann, lobby, draft{Text: strings.Repeat("x", maxBody)}, 413},
		{"a list", ann, lobby, []int{1}, 400},
		{"a bad nonce", ann, lobby, draft{"hi", "a b"}, 422},
		{"a long nonce", ann, lobby, draft{"hi", strings.Repeat("a", 65)}, 422},
		{"no such room", ann, "/rooms/attic/messages", draft{Text: "hi"}, 404},
		{"a name of spaces", ann, name, author{Name: " \u200b "}, 422},
		{"a long name", ann, name, author{Name: strings.Repeat("x", 25)}, 422},
		{"another's number", ann, name, author{From: "someone else", Name: "Ann"}, 200},
	} {
		status, body := test.by.send(test.path, test.body)
		if status != test.want {
			t.Errorf("%s: got %d %s, want %d", test.what, status, body, test.want)
		}
		if test.path == name && status == 200 && strings.Contains(body, "someone else") {
			t.Errorf("%s: %s", test.what, body)
		}
	}
	foreign, err := http.NewRequest("POST", base+lobby, strings.NewReader(`{"text":"from elsewhere"}`))
	if err != nil {
		t.Fatal(err)
	}
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	foreign.Header.Set("Origin", "https://evil.example")
	resp, err := ann.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %s", resp.Status)
	}
	if _, resp, err := websocket.Dial(t.Context(), base+"/rooms/lobby/socket",
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}); err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a WebSocket from a page of another site: %v", err)
	}
	if _, err := somebody(t, base+"/rooms/attic").events(t.Context(), ""); err == nil {
		t.Error("a room that is not there has events")
	}
}

// Over a WebSocket the same rules hold, and each message is answered.
func TestASocketTalks(t *testing.T) {
	base := serve(t, redistest.NewServer(t).URL(), func(c *config) { c.burst = 5 })
	ann := join(t, base, "Ann") // one of the five
	c, err := ann.socket(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	answer := func(d draft) event {
		t.Helper()
		if err := c.write(d); err != nil {
			t.Fatal(err)
		}
		for {
			e, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if e.Type != "message" {
				return e
			}
		}
	}
	if e := answer(draft{"one", "1"}); e.Type != "sent" || e.Nonce != "1" || e.ID == "" || e.Status != 201 {
		t.Errorf("got %+v", e)
	}
	if e := answer(draft{"one", "1"}); e.Type != "sent" || e.Status != 200 {
		t.Errorf("again: %+v", e)
	}
	if e := answer(draft{" ", "2"}); e.Type != "refused" || e.Nonce != "2" || e.Status != 422 {
		t.Errorf("nothing: %+v", e)
	}
	var limited event
	for i := 0; limited.Status != 429 && i < 1000; i++ {
		limited = answer(draft{"fast", fmt.Sprint("f", i)})
	}
	if limited.Type != "refused" || limited.Status != 429 || limited.Retry < 1 {
		t.Errorf("of 1000 messages at once the last got %+v", limited)
	}
	// The limit is one for requests as well, and a new session does not get around
	// it. One a second is given back.
	for what, send := range map[string]func() (int, string){
		"a request":    func() (int, string) { return ann.send("/rooms/lobby/messages", draft{Text: "and by request"}) },
		"a newcomer's": func() (int, string) { return somebody(t, base).send("/name", author{Name: "Another"}) },
	} {
		status, body := send()
		for i := 0; status != 429 && i < 10; i++ {
			status, body = send()
		}
		if status != 429 {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}

	for what, frame := range map[string]any{"not a draft": []int{1}, "too large": draft{Text: strings.Repeat("x", maxBody)}} {
		c, err := somebody(t, base).socket(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.raw(b); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = c.next()
		}
		if status := websocket.CloseStatus(err); status != websocket.StatusInvalidFramePayloadData && status != websocket.StatusMessageTooBig {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := somebody(t, base).socket(t.Context(), "nonsense"); !errors.As(err, new(*refused)) {
		t.Errorf("a bad id: %v", err)
	}
}

func TestDraftsAreCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"hi":                  "hi",
		"  two\nlines \r\n\n": "two\nlines",
		"a\x00b\x1b[31mc\x7f": "ab[31mc",
		"<b>&amp;":            "<b>&amp;", // as it is: the page shows text
		"\u202eabc":           "\u202eabc",
		"👩\u200d👩":            "👩\u200d👩",
	} {
		got, err := draft{Text: in}.clean()
		if err != nil || got.Text != want {
			t.Errorf("%q: got %q, %v, want %q", in, got.Text, err, want)
		}
	}
}

func FuzzDraft(f *testing.F) {
	f.Add(`{"text":"hi","nonce":"a"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var d draft
		if json.Unmarshal([]byte(body), &d) != nil {
			return
		}
		clean, err := d.clean()
		if err != nil {
			return
		}
		if again, err := clean.clean(); again != clean || err != nil {
			t.Errorf("%q became %+v and then %+v, %v", body, clean, again, err)
		}
	})
}

func TestAWrongConfigurationIsSaidClearly(t *testing.T) {
	for what, test := range map[string]struct {
		url    string
		change func(*config)
		want   string
	}{
		"url":     {"redis://:hunter2@h:bad", func(*config) {}, "connect: chat: port"},
		"rooms":   {"", func(c *config) { c.rooms = []string{"lobby", "No Room"} }, "-rooms"},
		"history": {"", func(c *config) { c.history = 1 }, "-history"},
		"burst":   {"", func(c *config) { c.burst = 0 }, "ratelimit"},
	} {
		c := defaults()
		c.listen = "127.0.0.1:0"
		test.change(&c)
		var out strings.Builder
		if err := run(t.Context(), c, test.url, &out); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
