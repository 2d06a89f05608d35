//go:build unix

package exampletest

import (
	"context"
	"time"

	"github.com/chromedp/chromedp"
)

// Press clicks what leads to another page, a link or a form's button, and waits
// until that is there.
func (t *Tab) Press(selector string) {
	t.t.Helper()
	t.Text(`window.before = true; ""`)
	t.Click(selector)
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	for { // between two pages there is none to ask, which is an error
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!window.before && document.readyState === "complete"`))
		switch {
		case err == nil && there:
			return
		case ctx.Err() != nil:
			t.t.Fatalf("browser: no other page comes of %s: %v", selector, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
