//go:build unix

package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// process is one server or sentinel.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// processes knows every running child, so that Main can stop them.
var processes = registry{running: map[*process]bool{}}

type registry struct {
	mu      sync.Mutex
	running map[*process]bool
	starts  chan func()
}

// onForker runs fn on the goroutine that starts all children. It is locked to
// its thread for the life of the process, because the parent-death signal is
// sent when the *thread* that forked ends, not the process.
func (r *registry) onForker(fn func()) {
	r.mu.Lock()
	if r.starts == nil {
		r.starts = make(chan func())
		go func() {
			runtime.LockOSThread()
			for fn := range r.starts {
				fn()
			}
		}()
	}
	starts := r.starts
	r.mu.Unlock()
	done := make(chan struct{})
	starts <- func() { fn(); close(done) }
	<-done
}

func (r *registry) stopAll() {
	r.mu.Lock()
	all := make([]*process, 0, len(r.running))
	for p := range r.running {
		all = append(all, p)
	}
	r.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
}

// start runs a program of the Redis distribution in dir. A nil env is that of
// this process.
func start(dir, program string, env []string, args ...string) (*process, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("redistest: %s is not installed: install Debian's package redis-server, or Redis elsewhere (`make redis` tries), or name a program in %s", program, ProgramVariable)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{cmd: exec.Command(path, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = dieWithParent()
	processes.onForker(func() { err = p.cmd.Start() })
	if err != nil {
		return nil, err
	}
	processes.mu.Lock()
	processes.running[p] = true
	processes.mu.Unlock()
	go func() {
		_ = p.cmd.Wait()
		processes.mu.Lock()
		delete(processes.running, p)
		processes.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process, paused or not, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail is the end of the server's log, for error messages.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
