package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/redishttp/redishttp/internal/redistest"
)

const patience = 60 * time.Second

// chromium finds the browser. Without one the test is skipped, but not in CI:
// a suite that skips everything is green and empty.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no chromium")
	}
	t.Skip("there is no chromium")
	return ""
}

// tab is a page of a headless browser that is logged in to the panel.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu     sync.Mutex
	errors []string // of scripts, and what the policy refused
}

func newTab(t *testing.T, base string) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // a newer browser sends what the library does not know
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // in good order: nobody writes to the directory while it is removed
	slow := time.AfterFunc(3*patience, cancel)     // not a deadline: the browser would end with it
	defer slow.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, ctx: ctx, base: base + "/admin/"}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.errors {
			t.Errorf("the browser complains: %s", e)
		}
	})
	_, e1 := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	_, e2 := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("operator:"+testPassword))
	_, e3 := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": login}})
	if err := errors.Join(e1, e2, e3); err != nil {
		t.Fatal(err)
	}
	b.look(1360, 900, "light")
	return b
}

func (b *tab) listen(event any) {
	what := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		what = e.ExceptionDetails.Text
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			what = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if what != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.errors = append(b.errors, what)
	}
}

// ask runs one action and fails the test if it fails or takes too long.
func ask[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %s: %v", what, err)
	}
	return v
}

func (b *tab) open(page string) {
	b.t.Helper()
	ask(b, "open "+page, chromedp.Navigate(b.base+page))
}

func (b *tab) text() string {
	b.t.Helper()
	return ask(b, "text", chromedp.Evaluate[string](`document.querySelector('main')?.innerText ?? ''`))
}

// wait polls an expression until it is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	redistest.Eventually(b.t, patience, func() bool { return ask(b, expression, chromedp.Evaluate[bool](expression)) }, "%s stays false", expression)
}

// see waits, opening the page again, until it says so.
func (b *tab) see(page string, want ...string) {
	b.t.Helper()
	redistest.Eventually(b.t, patience, func() bool {
		b.open(page)
		text := b.text()
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}, "%s does not say %q", page, want)
}

func (b *tab) enter(selector, text string) {
	b.t.Helper()
	ask(b, "focus "+selector, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).focus()`, selector)))
	ask(b, "type", chromedp.KeyEvent(text))
}

// press clicks, where it is, and waits for the next page.
func (b *tab) press(selector string) {
	b.t.Helper()
	at := ask(b, "find "+selector, chromedp.Evaluate[[]float64](fmt.Sprintf(`(() => {
		window.before = true;
		const e = document.querySelector(%q);
		e.scrollIntoView({ block: "center" });
		const box = e.getClientRects()[0];
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector)))
	ask(b, "click "+selector, chromedp.MouseClickXY(at[0], at[1]))
	b.wait("!window.before && document.readyState === 'complete'")
}

// look sets the screen.
func (b *tab) look(width, height int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		b.t.Fatal(err)
	}
	ask(b, "viewport", chromedp.EmulateViewport(width, height))
}

const testPassword = "of-the-tests"

// serve runs the program and returns its address.
func serve(t *testing.T, redisURL string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, done := newLines(), make(chan error, 1)
	go func() {
		done <- run(ctx, settings{listen: "127.0.0.1:0", redisURL: redisURL, password: testPassword, users: 5}, out)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	select {
	case line := <-out.first:
		return strings.TrimPrefix(line, "listening on ")
	case <-time.After(patience):
		t.Fatal("the program does not say where it listens")
	}
	return ""
}

// lines waits for the line that says where the program listens.
type lines struct {
	mu    sync.Mutex
	text  string
	once  sync.Once
	first chan string
}

func newLines() *lines { return &lines{first: make(chan string, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	for line := range strings.Lines(l.text) {
		if strings.HasPrefix(line, "listening on ") && strings.HasSuffix(line, "\n") {
			l.once.Do(func() { l.first <- strings.TrimSpace(line) })
		}
	}
	return len(p), nil
}

// The whole tour of an operator, in a browser.
func TestThePanelInABrowser(t *testing.T) {
	chromium(t)
	for name, url := range map[string]string{"standalone": redistest.NewServer(t).URL(), "sentinel": redistest.Sentinel(t).URL, "cluster": redistest.Cluster(t).URL} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, url)
			b := newTab(t, base)
			b.see("", "Connections", name, "well")
			b.press("td a") // the first server
			b.wait(`document.getElementById('live').textContent === 'live' && document.querySelector('[data-chart=ops] .line').getAttribute('d').split('L').length > 4`)

			b.open("keys")
			b.enter("input[name=match]", "session:v1:")
			b.press("form button")
			b.press("td.key a")
			if s := b.text(); !strings.Contains(s, "This is a session") || !strings.Contains(s, "What it holds is not shown") {
				t.Errorf("the page of a key says %s", s)
			}

			paying, stop := context.WithCancel(t.Context())
			paid := make(chan struct{})
			go func() {
				defer close(paid)
				for paying.Err() == nil {
					r, _ := http.NewRequestWithContext(paying, "POST", base+"/orders/99/pay", nil)
					if resp, err := http.DefaultClient.Do(r); err == nil {
						resp.Body.Close()
					}
				}
			}()
			b.see("locks", "held", "Take away")
			shots(b, name, "locks")
			stop()
			<-paid

			b.open("limits")
			b.enter("form[action=confirm] input[name=client]", "user-0")
			b.press("form[action=confirm] button")
			shots(b, name, "confirm")
			b.press("form[action=act] button")
			if s := b.text(); !strings.Contains(s, "The client was blocked.") {
				t.Errorf("after the block: %s", s)
			}
			b.see("limits?show=blocked", "blocked", "in 14 min")
			shots(b, name, "limits")
			b.press("td.actions a")
			b.press("form[action=act] button")
			if s := b.text(); !strings.Contains(s, "The client was unblocked.") {
				t.Errorf("after the release: %s", s)
			}
			b.see("limits?show=blocked", "Nobody is blocked")

			b.see("cache", "/products/", "fresh")
			shots(b, name, "cache")
			b.press("td.actions a")
			b.press("form[action=act] button")
			if s := b.text(); !strings.Contains(s, "The URL was purged.") {
				t.Errorf("after the purge: %s", s)
			}
			b.see("sessions", "user-", "Revoke")
			b.see("cron", "report")
			for _, page := range []string{"", "connection", "keys", "sessions", "cron"} {
				b.open(page)
				shots(b, name, page)
			}
			b.open("")
			b.press("td a")
			b.wait(`document.querySelector('[data-chart=ops] .line').getAttribute('d').split('L').length > 12`)
			shots(b, name, "node")
			b.open("keys?match=cache:v1:*:e:*")
			b.press("td.key a")
			shots(b, name, "key")
		})
	}
}

// shots takes pictures of the page as it is, if SCREENSHOTS names a directory
// for them.
func shots(b *tab, topology, page string) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	b.t.Helper()
	if page == "" {
		page = "connections"
	}
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"light", 1360, 900, "light"}, {"dark", 1360, 900, "dark"}, {"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}} {
		b.look(screen.width, screen.height, screen.scheme)
		png := ask(b, "picture", chromedp.CaptureScreenshot())
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", topology, page, screen.name)), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	b.look(1360, 900, "light")
}
