package bounded_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
)

type valueKey struct{}

// A context of a Timeout ends at its deadline or a little later, never before, and
// those that are derived from it end with it. The request's end is not its own.
func TestTimeoutEndsAtItsDeadline(t *testing.T) {
	for _, d := range []time.Duration{time.Millisecond, 100 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			timeout := bounded.NewTimeout(d)
			parent, hangUp := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "value"))
			hangUp()
			for range 5 {
				begun := time.Now()
				ctx := timeout.Context(parent)
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				if at, ok := ctx.Deadline(); !ok || !at.Equal(begun.Add(d)) {
					t.Errorf("the deadline is %v after the beginning, want %v", at.Sub(begun), d)
				}
				if ctx.Err() != nil || ctx.Value(valueKey{}) != "value" {
					t.Errorf("got %v, and the value %v", ctx.Err(), ctx.Value(valueKey{}))
				}
				<-ctx.Done()
				if took := time.Since(begun); took < d || took > d+min(d/16, 10*time.Millisecond) {
					t.Errorf("it ended after %v, want %v", took, d)
				}
				<-child.Done()
				for name, err := range map[string]error{
					"Err": ctx.Err(), "Cause": context.Cause(ctx), "Err of a child": child.Err(), "Cause of a child": context.Cause(child),
				} {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: got %v, want the deadline", name, err)
					}
				}
			}
		})
	}
}

// Contexts that begin together share a timer, and do not share their deadlines.
func TestTimeoutSharesTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeout := bounded.NewTimeout(160 * time.Millisecond)
		first := timeout.Context(t.Context())
		for i, shared := range []bool{true, true, false} {
			<-time.After(5 * time.Millisecond)
			next := timeout.Context(t.Context())
			if same := next.Done() == first.Done(); same != shared {
				t.Errorf("%d: shared %v, want %v", i, same, shared)
			}
			at, _ := next.Deadline()
			if left := time.Until(at); left != 160*time.Millisecond {
				t.Errorf("%d: %v are left", i, left)
			}
		}
		if n := testing.AllocsPerRun(100, func() { timeout.Context(t.Context()) }); n > 1 {
			t.Errorf("%v allocations, want 1", n)
		}
		<-time.After(time.Second) // until all have ended
	})
}
