// Package smoke tests the examples that serve the same routes with different
// routers: it builds the program, starts it and does what its help says.
package smoke

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

const patience = time.Minute

// Run tests the program in the working directory, on an embedded Redis and on
// a real one.
func Run(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, url := range map[string]string{"embedded": "", "redis": redistest.NewServer(t).URL()} {
		t.Run(name, func(t *testing.T) { tour(t, start(t, binary, url)) })
	}
	out, err := exec.Command(binary, "-listen", "127.0.0.1:99999").CombinedOutput()
	if err == nil || len(out) == 0 {
		t.Errorf("an impossible address: %v %s", err, out)
	}
}

// start starts the program, which must end cleanly when it is asked to.
func start(t *testing.T, binary, url string) (base string) {
	t.Helper()
	cmd := exec.Command(binary, "-listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "REDIS_URL="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() {
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
	said := make(chan string, 1)
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if base, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				said <- base
			}
		}
	}()
	select {
	case base := <-said:
		return base
	case <-read:
		t.Fatal("the program has ended")
	case <-time.After(patience):
		t.Fatal("the program does not say where it listens")
	}
	return ""
}

type client struct {
	t    *testing.T
	base string
	http.Client
}

func newClient(t *testing.T, base string) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, base: base, Client: http.Client{Jar: jar, Timeout: patience}}
}

// do sends "METHOD /path". It waits while the limiter has it wait.
func (c *client) do(ask string) (*http.Response, string) {
	for {
		resp, body := c.try(ask)
		if resp.StatusCode != http.StatusTooManyRequests {
			return resp, body
		}
		select {
		case <-time.After(time.Second):
		case <-c.t.Context().Done():
		}
	}
}

func (c *client) try(ask string) (*http.Response, string) {
	method, path, _ := strings.Cut(ask, " ")
	req, err := http.NewRequestWithContext(context.Background(), method, c.base+path, nil)
	if err != nil {
		c.t.Error(err)
		return &http.Response{}, ""
	}
	resp, err := c.Do(req)
	if err != nil {
		c.t.Errorf("%s: %v", ask, err)
		return &http.Response{}, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Errorf("%s: %v", ask, err)
	}
	return resp, string(b)
}

// tour does what the program's help says, and checks what it promises.
func tour(t *testing.T, base string) {
	c := newClient(t, base)
	for path, status := range map[string]int{"/time": http.StatusOK, "/orders/7": http.StatusNotFound} {
		// The first look-ups may take longer than they may, and an answer lives for
		// five seconds: a slow machine gets several tries.
		redistest.Eventually(t, patience, func() bool {
			_, first := c.do("GET " + path)
			resp, second := c.do("GET " + path)
			if resp.StatusCode != status || second == "" {
				t.Fatalf("%s: %d %q", path, resp.StatusCode, second)
			}
			return first == second && strings.Contains(resp.Header.Get("Cache-Status"), "; hit")
		}, "%s is never a hit", path)
	}
	for visit := 1; visit <= 3; visit++ {
		if _, body := c.do("GET /visits"); body != fmt.Sprintf("your visit number %d\n", visit) {
			t.Errorf("visit %d: %q", visit, body)
		}
	}
	if _, body := newClient(t, base).do("GET /visits"); body != "your visit number 1\n" {
		t.Errorf("somebody else: %q", body)
	}
	if resp, _ := c.do("GET /nowhere"); resp.StatusCode != http.StatusNotFound || resp.Header.Get("RateLimit") == "" {
		t.Errorf("no route: %d %v", resp.StatusCode, resp.Header)
	}
	redistest.Eventually(t, patience, func() bool {
		got := pay(t, base, "7", "7", "8")
		switch got["7"] {
		case "200 409", "409 200":
			return got["8"] == "200"
		case "200 200": // the second came late
			return false
		}
		t.Fatalf("payments: %v", got)
		return false
	}, "two payments of one order do not meet")
	denied := 0
	for range 60 {
		if resp, body := c.try("GET /time"); resp.StatusCode == http.StatusTooManyRequests {
			denied++
			if resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "quota-exceeded") {
				t.Errorf("rate limit: %v %s", resp.Header, body)
			}
		}
	}
	if denied == 0 {
		t.Error("rate limit: 60 requests at once pass")
	}
}

// pay pays orders at once and says what became of each.
func pay(t *testing.T, base string, orders ...string) map[string]string {
	t.Helper()
	var mu sync.Mutex
	got := map[string]string{}
	var wg sync.WaitGroup
	for _, order := range orders {
		wg.Go(func() {
			resp, body := newClient(t, base).do("POST /orders/" + order + "/pay")
			if resp.StatusCode == http.StatusOK && !strings.HasPrefix(body, "order "+order+" paid, fence ") {
				t.Errorf("paid: %q", body)
			}
			mu.Lock()
			defer mu.Unlock()
			got[order] = strings.TrimSpace(got[order] + fmt.Sprint(" ", resp.StatusCode))
		})
	}
	wg.Wait()
	return got
}
