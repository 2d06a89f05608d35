//go:build unix

package redistest

import (
	"context"
	_ "embed" // for the shim
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed shim/clock.c
var clockSource []byte

// WithClock starts the server with a clock that [Server.SetClock] sets. It needs
// a C compiler, as does the race detector.
func WithClock() ServerOption { return func(s *Server) { s.clock = "clock" } }

// SetClock sets the server's time of day ahead of the machine's, or behind it
// if d is negative, from now on. It waits until the server follows, which takes
// Valkey 9.1 a millisecond, unless the server does not answer.
func (s *Server) SetClock(t testing.TB, d time.Duration) {
	t.Helper()
	if s.clock == "" {
		t.Fatal("redistest: SetClock: the server was started without WithClock")
	}
	f, err := os.OpenFile(s.clock, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(d.Microseconds())), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	_ = poll(ctx, func() bool {
		before := time.Now()
		now, err := rdb.Time(ctx).Result()
		ahead := now.Sub(before) - d
		return err != nil || -time.Millisecond < ahead && ahead < time.Since(before)+time.Millisecond
	})
}

// shim compiles what the server is preloaded with, unless a server before has,
// and returns its environment.
func (s *Server) shim() ([]string, error) {
	s.clock = filepath.Join(s.dir, "clock")
	if err := os.WriteFile(s.clock, make([]byte, 8), 0o600); err != nil {
		return nil, err
	}
	if s.library == "" {
		source, library := s.clock+".c", s.clock+".so"
		if err := os.WriteFile(source, clockSource, 0o600); err != nil {
			return nil, err
		}
		if out, err := exec.Command("cc", "-O1", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("redistest: the clock's shim: %w\n%s", err, out)
		}
		s.library = library
	}
	return append(os.Environ(), "LD_PRELOAD="+s.library, "REDISTEST_CLOCK="+s.clock), nil
}
