package connect_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestSet(t *testing.T) {
	redistest.NoLeaks(t)
	g := redistest.Standalone(t)
	s := connect.NewSet(connect.WithPrefix("app"))
	for _, err := range []error{s.Add("default", g.URL), s.Add("cache", g.URL), s.Alias("sessions", "default"), s.Alias("locks", "sessions")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"taken": s.Add("cache", g.URL), "alias taken": s.Alias("cache", "default"), "no target": s.Alias("x", "y"), "name of an alias": s.Add("locks", g.URL), "self": s.Alias("z", "z"),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var conns sync.Map
	var wg sync.WaitGroup
	for _, name := range []string{"default", "sessions", "locks", "default"} {
		wg.Go(func() {
			c, err := s.Get(name)
			if err != nil {
				t.Error(err)
			}
			conns.Store(c, true)
		})
	}
	wg.Wait()
	n := 0
	conns.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one connection under three names: got %d", n)
	}
	if _, err := s.Get("sesions"); !errors.Is(err, connect.ErrUnknown) || !strings.Contains(err.Error(), `known are: cache, default, locks, sessions; did you mean "sessions"?`) {
		t.Errorf("unknown name: got %v, want a suggestion", err)
	}
	if err := s.Ready(within(t, patience)); err != nil {
		t.Error(err)
	}
	if h := s.Health(within(t, patience)); len(h) != 2 || !h["default"].OK || !h["cache"].OK {
		t.Errorf("health: got %+v", h)
	}
	if got, want := strings.Join(s.Names(), " "), "cache default"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
	if c, _ := s.Get("cache"); c.Key("a", "b") != "app:a:b" {
		t.Errorf("defaults of the set: key %q", c.Key("a", "b"))
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := s.Get("default"); !errors.Is(err, connect.ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}

func TestFromEnv(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(pairs ...string) func() (*connect.Set, error) {
		return func() (*connect.Set, error) {
			for _, pair := range pairs {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			return connect.FromEnv("RTEST")
		}
	}
	t.Run("good", func(t *testing.T) {
		s, err := env("RTEST_URL=redis://h", "RTEST_PASSWORD_FILE="+file, "RTEST_EU_URL=redis://eu", "RTEST_EU_CACHE_URL=redis://eucache",
			"RTEST_EU_CACHE_POOL_SIZE=7", "RTEST_ALIASES=sessions=default,locks=eu", "RTEST_VERSION=7.2", "RTEST_PORT_6379_TCP=tcp://1.2.3.4")()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(t.Context())
		if got, want := strings.Join(s.Names(), " "), "default eu eu_cache"; got != want {
			t.Errorf("names: got %s, want %s", got, want)
		}
		c, err := s.Get("eu_cache")
		if err != nil || c.Info().PoolSize != 7 {
			t.Errorf("override: got %+v, %v", c.Info(), err)
		}
		if c, err = s.Get("sessions"); err != nil || !strings.Contains(c.String(), "redacted") {
			t.Errorf("password file: got %v, %v", c, err)
		}
	})
	t.Run("mistakes", func(t *testing.T) {
		t.Setenv("RTEST_VERSION", "")
		_, err := env("RTEST_URL=redis://h:bad", "RTEST_EU_URL=redis://eu", "RTEST_EU_PASWORD=hunter2secret", "RTEST_ALIASES=a=none,broken")()
		for _, want := range []string{"default: port", "RTEST_EU_PASSWORD", `"none"`, "RTEST_ALIASES"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s is not in %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a secret is shown: %v", err)
		}
	})
	t.Run("default", func(t *testing.T) {
		t.Setenv("RTWO_URL", "redis://h")
		t.Setenv("RTWO_VERSION", "7")
		t.Setenv("RTWO_PASWORD_FILE", "x")
		t.Setenv("RTWO_POOLSIZE", "7")
		_, err := connect.FromEnv("RTWO")
		for _, want := range []string{"RTWO_PASSWORD_FILE?", "RTWO_POOL_SIZE?"} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "VERSION") {
				t.Errorf("%s is not in %v", want, err)
			}
		}
	})
	t.Run("two passwords", func(t *testing.T) {
		t.Setenv("RTWO_URL", "redis://h")
		t.Setenv("RTWO_PASSWORD", "hunter2secret")
		t.Setenv("RTWO_PASSWORD_FILE", file)
		if _, err := connect.FromEnv("RTWO"); err == nil || !strings.Contains(err.Error(), "RTWO_PASSWORD_FILE: is given beside RTWO_PASSWORD") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
		if _, err := connect.Parse("redis://app:hunter2secret@h?password_file=" + file); !mistaken(err) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("in the URL: got %v", err)
		}
	})
	t.Run("no default", func(t *testing.T) {
		t.Setenv("RTWO_CACHE_URL", "redis://h")
		t.Setenv("RTWO_PASSWORD", "x")
		if _, err := connect.FromEnv("RTWO"); err == nil || !strings.Contains(err.Error(), "RTWO_PASSWORD: is for the connection default") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if _, err := connect.FromEnv("RNONE"); err == nil || !strings.Contains(err.Error(), "RNONE_URL") {
			t.Errorf("got %v, want the missing variable named", err)
		}
	})
}
