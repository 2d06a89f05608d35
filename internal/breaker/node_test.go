package breaker

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
)

// The slots of the cluster specification and of CLUSTER KEYSLOT.
func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "a": 15495, "{a}": 15495, "x{a}y": 15495, "{a}{b}": 15495,
		"{a": 10276, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "{bar": 4015,
	} {
		if got := slot(key); got != want {
			t.Errorf("%q: got slot %d, want %d", key, got, want)
		}
	}
}

// manyNodes is a cluster in which each key has a master of its own.
type manyNodes struct{}

func (manyNodes) MasterForKey(_ context.Context, key string) (*redis.Client, error) {
	return redis.NewClient(&redis.Options{Addr: key + ":1", MaxRetries: -1}), nil
}
func (manyNodes) ReloadState(context.Context) {}

// Nodes that are gone are forgotten, but not those that are away.
func TestSetIsBounded(t *testing.T) {
	s := NewSet(manyNodes{})
	s.known.Store(true)
	for range failuresToOpen {
		c, _ := s.Allow("10.0.0.1")
		s.Report(c, io.EOF)
	}
	for i := range 3 * maxNodes {
		c, ok := s.Allow(fmt.Sprint("192.0.2.", i))
		if !ok {
			t.Fatal("a node that is well was refused")
		}
		s.Report(c, nil)
	}
	if n := len(*s.nodes.Load()); n > maxNodes {
		t.Errorf("%d nodes are kept, want at most %d", n, maxNodes)
	}
	if _, ok := s.Allow("10.0.0.1"); ok {
		t.Error("the node that is away was forgotten with the others")
	}
}
