//go:build unix

package redistest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

const dirPattern = "redistest-"

// baseDir is the directory of this test binary, below the system's temporary
// directory. Its name carries the process id, so that a later run can sweep
// what a killed one left. It is not t.TempDir: unix sockets need short paths.
var baseDir = sync.OnceValues(func() (string, error) {
	sweep()
	return os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPattern, os.Getpid()))
})

// Main runs the tests and exits; the shared servers and all directories are
// gone then.
func Main(m *testing.M) {
	redis.SetLogger(silent{}) // tests break connections on purpose; go-redis prints each
	code := m.Run()
	processes.stopAll()
	if dir, err := baseDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func newDir(name string) (string, error) {
	base, err := baseDir()
	if err != nil {
		return "", err
	}
	for range 3 { // the last server of another test may remove base in between
		if err = os.MkdirAll(base, 0o700); err != nil {
			return "", err
		}
		dir, e := os.MkdirTemp(base, name+"-")
		if err = e; err == nil {
			return dir, nil
		}
	}
	return "", err
}

// sweep removes the directories of runs whose process is gone.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPattern+"*"))
	for _, dir := range dirs {
		name := strings.TrimPrefix(filepath.Base(dir), dirPattern)
		number, _, _ := strings.Cut(name, "-")
		pid, err := strconv.Atoi(number)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(os.Stderr, "redistest: left behind by a dead run: %v\n", err)
			}
		}
	}
}
