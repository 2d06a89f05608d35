//go:build unix

package exampletest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Browser is a headless Chromium for one test.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// NewBrowser starts Chromium, in the long run of the tests: make long installs it.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	redistest.Long(t)
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no chromium: run .ci/install-browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // a newer browser sends what the library does not know
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // in good order: nobody must write to the directory while it is removed
	slow := time.AfterFunc(3*time.Minute, cancel)  // not a deadline: the browser would end with it
	defer slow.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{t, ctx}
}

// Tab is a page of a visitor of its own, with cookies of its own.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

// Open opens a page. What the page complains about, a script that throws or
// what the content security policy has refused, fails the test, but for the
// complaints that contain one of the expected words.
func (b *Browser) Open(url string, expected ...string) *Tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tab := &Tab{t: b.t, ctx: ctx}
	b.t.Cleanup(func() {
		cancel()
		tab.mu.Lock()
		defer tab.mu.Unlock()
		expected = append(expected, "status of 503") // which pages must cope with
	next:
		for _, e := range tab.errors {
			for _, word := range expected {
				if strings.Contains(e, word) {
					continue next
				}
			}
			b.t.Errorf("the page complains: %s", e)
		}
	})
	if err := chromedp.Listen(ctx, tab.listen); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	tab.Go(url)
	return tab
}

func (t *Tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		what := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			what += " " + e.ExceptionDetails.Exception.Description
		}
		t.complain(what)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			t.complain(e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (t *Tab) complain(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, s)
}

// run runs one action and fails the test if it fails or takes too long.
func run[T any](t *Tab, what string, action chromedp.Action[T]) T {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.failed(what, err)
	}
	return v
}

func (t *Tab) failed(what string, err error) {
	t.t.Helper()
	page, _ := chromedp.Run(t.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	t.t.Fatalf("browser: %s: %v\n%s", what, err, page)
}

// Wait polls a JavaScript expression until it is true, also over a change of
// the page.
func (t *Tab) Wait(expression string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(0), chromedp.WithPollingInterval(50*time.Millisecond)))
		if err == nil {
			return
		}
		if ctx.Err() != nil || !left(err) {
			t.failed(expression, err)
		}
	}
}

// left reports whether the page went away while it was looked at.
func left(err error) bool {
	for _, what := range []string{"navigated or closed", "context was destroyed", "find context with specified id", "find default execution context"} {
		if strings.Contains(err.Error(), what) {
			return true
		}
	}
	return false
}

// Text is what a JavaScript expression yields.
func (t *Tab) Text(expression string) string {
	t.t.Helper()
	return run(t, expression, chromedp.Evaluate[string](expression))
}

// Type types into the field that a selector finds.
func (t *Tab) Type(selector, text string) {
	t.t.Helper()
	t.there(selector)
	run(t, "focus "+selector, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).focus()`, selector)))
	run(t, "type into "+selector, chromedp.KeyEvent(text))
}

// Click clicks what a selector finds, where it is.
func (t *Tab) Click(selector string) {
	t.t.Helper()
	t.there(selector)
	at := run(t, "find "+selector, chromedp.Evaluate[[]float64](fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({ block: "nearest" });
		const box = e.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector)))
	run(t, "click "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

// there waits for an element that can be used. The library's own queries read
// what its other goroutine writes.
func (t *Tab) there(selector string) {
	t.t.Helper()
	t.Wait(fmt.Sprintf(`((e) => e && !e.disabled && !e.readOnly && e.checkVisibility())(document.querySelector(%q))`, selector))
}

// Go opens another page in the same tab.
func (t *Tab) Go(url string) {
	t.t.Helper()
	for began := time.Now(); ; { // a session has a quarter of a second, which may be short here
		run(t, "go to "+url, chromedp.Navigate(url))
		if t.Text(`document.contentType`) == "text/html" || time.Since(began) > patience {
			return
		}
	}
}

// Screen is how a page is looked at.
type Screen struct {
	Name          string
	Width, Height int64
	Dark          bool
}

// Screens are a desktop by day and by night, and a phone.
var Screens = []Screen{{"light", 1280, 800, false}, {"dark", 1280, 800, true}, {"phone", 390, 844, false}, {"phone-dark", 390, 844, true}}

// Look shows the page on another screen. With SCREENSHOTS=<directory> it leaves
// a picture there.
func (t *Tab) Look(s Screen, picture string) {
	t.t.Helper()
	scheme := "light"
	if s.Dark {
		scheme = "dark"
	}
	media := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	run(t, "look", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride,
			emulation.SetDeviceMetricsOverrideParams{Width: s.Width, Height: s.Height, DeviceScaleFactor: 1, Mobile: s.Width < 600})
		_, err2 := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
		return errors.Join(err, err2)
	}))
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	run(t, "scroll", chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	png := run(t, "picture", chromedp.CaptureScreenshot())
	if err := os.WriteFile(fmt.Sprintf("%s/%s-%s.png", dir, picture, s.Name), png, 0o600); err != nil {
		t.t.Fatal(err)
	}
}

//go:embed audit.js
var audit string

// Audit fails the test for what keeps people from using the page as it is shown
// now; see audit.js.
func (t *Tab) Audit(what string) {
	t.t.Helper()
	for _, f := range run(t, "audit", chromedp.Evaluate[[]string](audit)) {
		t.t.Errorf("%s: %s", what, f)
	}
}
