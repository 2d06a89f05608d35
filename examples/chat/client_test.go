package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = time.Minute

// instance is the program in this process.
type instance struct {
	t    *testing.T
	base string
	stop func() // waits until it has ended, in good order
}

// start starts one with limits that no test meets by chance.
func start(t *testing.T, redisURL string, change ...func(*config)) *instance {
	t.Helper()
	c := defaults()
	c.listen, c.burst, c.streams, c.stall, c.call = "127.0.0.1:0", 1000, 1000, 30*time.Second, patience
	for _, f := range change {
		f(&c)
	}
	base, stop := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, c, unhurried(redisURL), out) })
	return &instance{t: t, base: base, stop: stop}
}

// unhurried lets Redis take its time, on a machine that is busy.
func unhurried(redisURL string) string {
	return cmp.Or(redisURL, "embedded://") + "?read_timeout=10s"
}

func serve(t *testing.T, redisURL string, change ...func(*config)) string {
	t.Helper()
	return start(t, redisURL, change...).base
}

// person has a session.
type person struct {
	t    *testing.T
	base string
	http.Client
}

func somebody(t *testing.T, base string) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, base: base, Client: http.Client{Jar: jar, Timeout: patience}}
}

func join(t *testing.T, base, name string) *person {
	t.Helper()
	p := somebody(t, base)
	if status, body := p.send("/name", author{Name: name}); status != http.StatusOK {
		t.Fatalf("join: %d %s", status, body)
	}
	return p
}

// send sends until the answer is another than 503: a session has a quarter of a
// second, which may be short here.
func (p *person) send(path string, v any) (status int, body string) {
	p.t.Helper()
	redistest.Eventually(p.t, patience, func() bool {
		if status, body = p.once(path, v); status != http.StatusServiceUnavailable {
			return true
		}
		<-time.After(50 * time.Millisecond) // each counts
		return false
	}, "no answer but 503")
	return status, body
}

func (p *person) once(path string, v any) (status int, body string) {
	p.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.Post(p.base+path, "application/json", bytes.NewReader(b))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// say says something in the lobby and sees to it, as the page does: after a
// failure with the same nonce again.
func (p *person) say(text string) {
	p.t.Helper()
	d := draft{text, "n-" + strings.ReplaceAll(text, " ", "-")}
	redistest.Eventually(p.t, patience, func() bool {
		status, body := p.once("/rooms/lobby/messages", d)
		switch status {
		case http.StatusOK, http.StatusCreated:
			return true
		case http.StatusServiceUnavailable, http.StatusTooManyRequests: // the latter for trying too often during an outage
			return false
		}
		p.t.Fatalf("say %q: %d %s", text, status, body)
		return false
	}, "%q cannot be said", text)
}

// event is what a client is sent, over either kind of connection.
type event struct {
	Type, ID, From, Name, Text, Nonce string
	Status                            int
	Retry                             int `json:"retry_after"`
}

// connection is an open one, of either kind.
type connection struct {
	next  func() (event, error)
	raw   func([]byte) error // of a socket
	write func(draft) error  // of a socket
	close func()
}

func (p *person) events(ctx context.Context, after string) (*connection, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", p.base+"/rooms/lobby/events", nil)
	if err != nil {
		return nil, err
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, &refused{resp}
	}
	return &connection{next: parse(resp.Body), close: func() { resp.Body.Close() }}, nil
}

// parse reads server-sent events: what is cut off in the middle is none.
func parse(r io.Reader) func() (event, error) {
	lines := bufio.NewReader(r)
	return func() (event, error) {
		e, data := event{Type: "message"}, ""
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return event{}, err
			}
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch field {
			case "event":
				e.Type = value
			case "id":
				e.ID = value
			case "data":
				data = value
			case "":
				if data != "" {
					kind, id := e.Type, e.ID
					if err := json.Unmarshal([]byte(data), &e); err != nil {
						return event{}, err
					}
					if e.Type, e.ID = kind, id; kind == "gap" {
						e = event{Type: "gap"}
					}
					return e, nil
				}
			}
		}
	}
}

type refused struct{ *http.Response }

func (e *refused) Error() string { return e.Status }

func (p *person) socket(ctx context.Context, after string, dial ...func(*http.Transport)) (*connection, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	for _, f := range dial {
		f(transport)
	}
	options := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport, Jar: p.Jar}}
	conn, resp, err := websocket.Dial(ctx, p.base+"/rooms/lobby/socket?after="+after, options)
	for began := time.Now(); err != nil && resp != nil && resp.StatusCode == http.StatusServiceUnavailable && time.Since(began) < patience; {
		conn, resp, err = websocket.Dial(ctx, p.base+"/rooms/lobby/socket?after="+after, options)
	}
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, &refused{resp}
		}
		return nil, err
	}
	return &connection{
		next: func() (event, error) {
			var e event
			_, b, err := conn.Read(ctx)
			if err == nil {
				err = json.Unmarshal(b, &e)
			}
			return e, err
		},
		raw: func(b []byte) error { return conn.Write(ctx, websocket.MessageText, b) },
		write: func(d draft) error {
			b, err := json.Marshal(d)
			if err != nil {
				return err
			}
			return conn.Write(ctx, websocket.MessageText, b)
		},
		close: func() { conn.CloseNow() },
	}, nil
}

// reader stays connected as a browser does: when a connection ends it comes back
// at once, to the next instance, with the id of the last message that it has.
type reader struct {
	t *testing.T

	mu     sync.Mutex
	events []event
	dials  int
}

type kind func(p *person, ctx context.Context, after string) (*connection, error)

func overEvents(p *person, ctx context.Context, after string) (*connection, error) {
	return p.events(ctx, after)
}

func overSocket(p *person, ctx context.Context, after string) (*connection, error) {
	return p.socket(ctx, after)
}

func read(t *testing.T, over kind, after string, bases ...string) *reader {
	t.Helper()
	r := &reader{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	pause := time.NewTicker(20 * time.Millisecond)
	running.Go(func() {
		defer pause.Stop()
		for i := 0; ; i++ {
			p := somebody(t, bases[i%len(bases)])
			if c, err := over(p, ctx, after); err == nil {
				r.count()
				for {
					e, err := c.next()
					if err != nil {
						break
					}
					if e.ID != "" {
						after = e.ID
					}
					r.add(e)
				}
				c.close()
			}
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
		}
	})
	redistest.Eventually(t, patience, func() bool { return r.connections() > 0 }, "no connection")
	return r
}

func (r *reader) count() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
}

func (r *reader) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dials
}

func (r *reader) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *reader) got() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event(nil), r.events...)
}

// texts are the messages, and "(gap)" where one was told of.
func (r *reader) texts() []string {
	var texts []string
	for _, e := range r.got() {
		if e.Type == "gap" {
			texts = append(texts, "(gap)")
			continue
		}
		texts = append(texts, e.Text)
	}
	return texts
}

// wants waits until the reader has exactly these, in this order, each once.
func (r *reader) wants(texts ...string) {
	r.t.Helper()
	want := strings.Join(texts, "\n")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for got := ""; got != want; {
		got = strings.Join(r.texts(), "\n")
		if ctx.Err() != nil || len(got) > len(want) {
			r.t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}
