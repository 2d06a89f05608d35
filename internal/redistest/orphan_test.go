//go:build unix

package redistest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

var childMode string

// TestChild runs only in the child processes of TestNoServerOutlivesItsTests.
func TestChild(t *testing.T) {
	if childMode == "" {
		return
	}
	s := redistest.NewServer(t)
	pid := s.Client(t).Info(t.Context(), "server").Val()
	for line := range strings.Lines(pid) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "process_id:"); ok {
			fmt.Println("server", id)
		}
	}
	switch childMode {
	case "exit":
		os.Exit(1)
	case "panic":
		panic("as asked")
	case "fail":
		t.FailNow()
	}
	<-t.Context().Done() // wait for the signal
	select {}
}

func TestNoServerOutlivesItsTests(t *testing.T) {
	for _, mode := range []string{"panic", "exit", "fail", "interrupt", "kill"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "REDISTEST_CHILD="+mode, "TMPDIR="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			server := 0
			for lines := bufio.NewScanner(out); server == 0 && lines.Scan(); {
				if id, ok := strings.CutPrefix(lines.Text(), "server "); ok {
					server, _ = strconv.Atoi(id)
				}
			}
			if server == 0 {
				t.Fatal("the child started no server")
			}
			switch mode {
			case "interrupt":
				cmd.Process.Signal(os.Interrupt)
			case "kill":
				cmd.Process.Kill()
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the child ended well; it was to fail")
			}
			redistest.Eventually(t, patience, func() bool { return gone(server) }, "server %d outlives its test", server)
			left, _ := filepath.Glob(filepath.Join(dir, "redistest-*"))
			if mode == "fail" && len(left) != 0 {
				t.Errorf("directories left behind: %v", left)
			}
		})
	}
}

// gone reports whether no such process runs; one that nobody has reaped yet
// (a container's first process may never) no longer runs either.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
