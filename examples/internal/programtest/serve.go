// Package programtest runs the example programs within their tests.
package programtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Serve runs a program until stop, or the end of the test, and returns where it
// says that it listens. The program must end without an error.
func Serve(t *testing.T, run func(ctx context.Context, out io.Writer) error) (base string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		defer w.Close()
		done <- run(ctx, w)
	}()
	stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections() // those that never spoke would hold it up
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	return Address(t, r), stop
}

// Address reads from what a program prints where it listens, and goes on reading.
func Address(t *testing.T, out io.Reader) string {
	t.Helper()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if base, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return base
		}
	}
	t.Fatal("the program does not say where it listens")
	return ""
}
