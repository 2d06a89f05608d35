package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = time.Minute

type line struct{ pid, text string }

// Three processes: at each tick one works. Killed in the middle, another takes
// its tick over.
func TestThreeInstances(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "cron")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var mu sync.Mutex
	var lines []line
	processes := map[string]*os.Process{}
	said := regexp.MustCompile(`pid (\d+)  (.*)$`)
	for range 3 {
		cmd := exec.Command(binary, "-every", "3s", "-takes", "2s", "-lease", "900ms")
		cmd.Env = append(os.Environ(), "REDIS_URL="+redistest.Standalone(t).URL)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		go func() {
			for s := bufio.NewScanner(out); s.Scan(); {
				if m := said.FindStringSubmatch(s.Text()); m != nil {
					mu.Lock()
					lines = append(lines, line{m[1], m[2]})
					processes[m[1]] = cmd.Process
					mu.Unlock()
				}
			}
		}()
	}
	works := regexp.MustCompile(`^works on tick (\S+), attempt (\d+)`)
	done := regexp.MustCompile(`^has done tick (\S+)$`)
	count := func(re *regexp.Regexp, tick string) (n int, last line) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l.text); m != nil && (tick == "" || m[1] == tick) {
				n++
				last = l
			}
		}
		return n, last
	}
	redistest.Eventually(t, patience, func() bool { n, _ := count(done, ""); return n >= 2 }, "nobody works")
	var victim line
	before, _ := count(works, "")
	redistest.Eventually(t, patience, func() bool {
		var n int
		n, victim = count(works, "")
		return n > before
	}, "nobody works any more")
	tick := works.FindStringSubmatch(victim.text)[1]
	mu.Lock()
	p := processes[victim.pid]
	mu.Unlock()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, func() bool { n, _ := count(done, tick); return n == 1 }, "nobody took tick %s over", tick)
	if n, last := count(works, tick); n != 2 || last.pid == victim.pid || works.FindStringSubmatch(last.text)[2] != "2" {
		t.Errorf("tick %s was begun %d times, the last by %+v", tick, n, last)
	}
	mu.Lock()
	defer mu.Unlock()
	begun := map[string]int{}
	for _, l := range lines {
		if m := works.FindStringSubmatch(l.text); m != nil {
			begun[m[1]]++
		}
	}
	for at, n := range begun {
		if n != 1 && at != tick {
			t.Errorf("tick %s was begun %d times", at, n)
		}
	}
}
