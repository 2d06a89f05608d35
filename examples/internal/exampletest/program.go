//go:build unix

// Package exampletest starts the example programs as users do, and opens their
// pages in a real browser.
package exampletest

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what should happen at once, on a machine that is busy.
const patience = time.Minute

// Build builds the program of the test's own directory, and returns the path of
// the binary.
func Build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// Program is a running process.
type Program struct {
	// URL is where it says that it listens.
	URL string

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu  sync.Mutex
	out bytes.Buffer
}

// Start starts a binary on a free port of the loopback address and waits until
// it listens. When the test ends it is asked to stop, and must, with status 0.
func Start(t testing.TB, binary, redisURL string, args ...string) *Program {
	t.Helper()
	p := &Program{t: t, cmd: exec.Command(binary, append([]string{"-listen", "127.0.0.1:0"}, args...)...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+redisURL)
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		w.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("the program said:\n%s", p.said())
		}
	})
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			p.mu.Lock()
			p.out.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if rest, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				url <- rest
			}
		}
	}()
	select {
	case p.URL = <-url:
	case <-p.done:
		t.Fatalf("the program ended: %v\n%s", p.err, p.said())
	case <-time.After(patience):
		t.Fatal("the program does not say where it listens")
	}
	return p
}

func (p *Program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Kill is kill -9.
func (p *Program) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	p.err = nil
}

// Stop asks the program to stop and fails the test if it does not, or not in
// good order.
func (p *Program) Stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Error("the program does not stop")
		p.Kill()
	}
	if p.err != nil {
		p.t.Errorf("the program ended with %v", p.err)
		p.err = nil
	}
}
