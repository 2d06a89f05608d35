package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 30 * time.Second

// serve runs the program in this process and returns its base URL.
func serve(t *testing.T, redisURL string) string {
	t.Helper()
	base, _ := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, "127.0.0.1:0", redisURL, out) })
	return base
}

type client struct {
	t    *testing.T
	base string
	http.Client
}

func newClient(t *testing.T, base string) *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, base: base, Client: http.Client{Jar: jar, Timeout: patience}}
}

func (c *client) do(method, path, body string) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(b)
}

// tour does what the program's own help says, and checks what it promises.
func tour(t *testing.T, base string) {
	c := newClient(t, base)
	resp, first := c.do("GET", "/time", "")
	for range 5 { // the first connections may take longer than a look-up may
		if strings.Contains(resp.Header.Get("Cache-Status"), "stored") {
			break
		}
		resp, first = c.do("GET", "/time", "")
	}
	resp, second := c.do("GET", "/time", "")
	for range 5 { // on a busy machine a look-up may take longer than it may
		if strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
			break
		}
		first = second
		resp, second = c.do("GET", "/time", "")
	}
	if first != second || !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Errorf("cache: %q, then %q, %s", first, second, resp.Header.Get("Cache-Status"))
	}
	c.do("POST", "/purge", "")
	if resp, _ = c.do("GET", "/time", ""); strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Error("cache: a hit after the purge")
	}
	c.do("GET", "/visits", "")
	if _, body := c.do("GET", "/visits", ""); body != "your visit number 2\n" {
		t.Errorf("session: %q", body)
	}
	c.do("POST", "/login", "user=ann")
	if _, body := c.do("GET", "/me", ""); body != "user: \"ann\"\n" {
		t.Errorf("session: %q", body)
	}
	c.do("POST", "/logout", "")
	if _, body := c.do("GET", "/me", ""); body != "user: \"\"\n" {
		t.Errorf("session after logout: %q", body)
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			resp, _ := newClient(t, base).do("POST", "/orders/7/pay", "")
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
		})
	}
	wg.Wait()
	if got, want := fmt.Sprint(statuses), "map[200:1 409:1]"; got != want {
		t.Errorf("lock: %s, want %s", got, want)
	}
	denied := 0
	for range 40 {
		if resp, body := c.do("GET", "/time", ""); resp.StatusCode == 429 {
			denied++
			if resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "quota-exceeded") {
				t.Errorf("rate limit: %v %s", resp.Header, body)
			}
		}
	}
	if denied == 0 {
		t.Error("rate limit: 40 requests at once pass")
	}
}

func TestTheTourOnEveryTopology(t *testing.T) {
	urls := map[string]string{
		"embedded":   "",
		"standalone": redistest.NewServer(t).URL(),
		"unix":       redistest.NewServer(t, redistest.WithUnix()).URL(),
		"tls":        redistest.NewServer(t, redistest.WithTLS()).URL(),
		"sentinel":   redistest.Sentinel(t).URL,
		"cluster":    redistest.Cluster(t).URL,
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) { tour(t, serve(t, url)) })
	}
}

// The command of the README, as a process.
func TestTheCommand(t *testing.T) {
	cmd := exec.Command("go", "run", "-C", "..", "./full", "-listen", "127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	}()
	if resp, body := newClient(t, programtest.Address(t, out)).do("GET", "/", ""); resp.StatusCode != 200 || !strings.Contains(body, "curl") {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestAWrongURLIsSaidClearly(t *testing.T) {
	err := run(t.Context(), "127.0.0.1:0", "redis://:hunter2@h:bad", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connect: default: port") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
