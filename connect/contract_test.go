package connect_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A provider that fails, fails the call that needs the connection, and the next call
// asks it again.
func TestAProviderThatFails(t *testing.T) {
	errVault := errors.New("the vault is sealed")
	calls := 0
	c, err := connect.Open("redis://"+redistest.NewServer(t).Addr(), connect.WithCredentials(func(context.Context) (string, string, error) {
		calls++
		if calls == 1 {
			return "", "", errVault
		}
		return "", "", nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.Client().Ping(t.Context()).Err(); !errors.Is(err, errVault) {
		t.Errorf("got %v, want the provider's error", err)
	}
	if err := c.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// The role of an alias may be an alias, and mistakes say what is wrong.
func TestAliasesOfAliases(t *testing.T) {
	s := connect.NewSet()
	err := errors.Join(s.Add("main", "redis://localhost"), s.Alias("default", "main"), s.Alias("sessions", "default"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	main, err := s.Get("main")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Get("sessions"); c != main || err != nil {
		t.Errorf("got %v, %v, want the connection main", c, err)
	}
	if err := s.Alias("x", "none"); !errors.Is(err, connect.ErrUnknown) {
		t.Errorf("an unknown target: got %v, want ErrUnknown", err)
	}
	for _, role := range []string{"", "main", "sessions"} {
		if err := s.Alias(role, "main"); err == nil {
			t.Errorf("the role %q was accepted", role)
		}
	}
}

// After Close a Set yields no connection and takes no other.
func TestAClosedSet(t *testing.T) {
	s := connect.NewSet()
	if err := s.Add("main", "redis://localhost"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name := range s.All() {
		t.Errorf("%s is yielded", name)
	}
	if err := s.Add("other", "redis://localhost"); err == nil {
		t.Error("a connection was added")
	}
}
