//go:build unix

package redistest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// poll calls cond every few milliseconds until it is true or ctx ends.
func poll(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if cond() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Long skips a test that takes long, unless LONG is set: make long sets it.
func Long(t testing.TB) {
	t.Helper()
	if !IsLong() {
		t.Skip("LONG=1 runs it")
	}
}

// IsLong reports whether tests may take long.
func IsLong() bool { return os.Getenv("LONG") != "" }

// Eventually polls cond and fails the test if it is not true within d.
func Eventually(t testing.TB, d time.Duration, cond func() bool, msg string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if poll(ctx, cond) != nil {
		t.Fatalf("after %v: %s", d, fmt.Sprintf(msg, args...))
	}
}

// CloseAfter closes c when the test has ended, and fails it if that takes
// longer than d or returns an error.
func CloseAfter(t testing.TB, d time.Duration, c interface{ Close(context.Context) error }) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// ours are the packages whose goroutines NoLeaks looks for.
var ours = []string{"github.com/redishttp/", "github.com/redis/go-redis/", "github.com/gomodule/redigo/", "github.com/alicebob/miniredis/"}

// NoLeaks fails the test if, when it and its later cleanups have ended,
// goroutines of this module, go-redis, redigo or miniredis run that did not
// before. Call it before what must clean up after itself.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := map[string]bool{}
	for id := range goroutines() {
		before[id] = true
	}
	t.Cleanup(func() {
		// A call that was left behind on a server that hung in an earlier test ends
		// when go-redis' own timeouts and retries do, up to 20 s.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		var left []string
		err := poll(ctx, func() bool {
			left = left[:0]
			for id, stack := range goroutines() {
				if !before[id] {
					left = append(left, stack)
				}
			}
			return len(left) == 0
		})
		if err != nil {
			t.Errorf("%d goroutines left behind:\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

// goroutines maps the id of each goroutine of ours to its stack, without the
// one that asks and those of the test kit and the testing package.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "internal/redistest.") || strings.Contains(stack, "testing.tRunner(") {
			continue
		}
		for _, pkg := range ours {
			if strings.Contains(stack, pkg) {
				id, _, _ := strings.Cut(stack, " [")
				found[id] = stack
				break
			}
		}
	}
	return found
}

// NoErrors fails the test at the first error.
func NoErrors(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
