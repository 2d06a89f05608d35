package lockmw

import (
	"context"
	"errors"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// Another goroutine that looks between the moment a lock is found lost and the end
// of its context is told.
func TestALossShowsBeforeItsCancel(t *testing.T) {
	l, err := New(redistest.Standalone(t).Client(t), WithKeyPrefix(redistest.Prefix(t)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := l.Acquire(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.lost = lockerr.ErrExpired // as lose does first
	k.mu.Unlock()
	if err := k.Context().Err(); err == nil {
		t.Error("the context is alive")
	}
	if cause := context.Cause(k.Context()); !errors.Is(cause, ErrLost) {
		t.Errorf("cause %v, want ErrLost", cause)
	}
	if err := k.Release(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("Release: %v, want ErrLost", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
