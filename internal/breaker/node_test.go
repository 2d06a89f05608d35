package breaker

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
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
type manyNodes map[string]*redis.Client

func (c manyNodes) MasterForKey(_ context.Context, key string) (*redis.Client, error) {
	return c[key], nil
}
func (manyNodes) ReloadState(context.Context) {}

// Nodes that are gone are forgotten, but not those that are away.
func TestSetIsBounded(t *testing.T) {
	c := manyNodes{}
	for i := range maxNodes + 10 {
		key := fmt.Sprint(i)
		c[key] = redis.NewClient(&redis.Options{Addr: key + ":1", MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
		t.Cleanup(func() { c[key].Close() })
	}
	synctest.Test(t, func(t *testing.T) { // so that no time passes
		s := NewSet(c)
		s.known.Store(true)
		for range failuresToOpen {
			call, _ := s.Allow("0")
			s.Report(call, io.EOF)
		}
		for i := 1; i < len(c); i++ {
			call, ok := s.Allow(fmt.Sprint(i))
			if !ok {
				t.Fatal("a node that is well was refused")
			}
			s.Report(call, nil)
		}
		if n := len(*s.nodes.Load()); n > maxNodes {
			t.Errorf("%d nodes are kept, want at most %d", n, maxNodes)
		}
		if _, ok := s.Allow("0"); ok {
			t.Error("the node that is away was forgotten with the others")
		}
	})
}
