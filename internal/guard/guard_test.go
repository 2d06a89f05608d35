package guard_test

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/guard"
)

func TestGuard(t *testing.T) {
	var g guard.Guard
	now := time.Now()
	for i := range 5 {
		if !g.Try(now) {
			t.Fatalf("closed after %d failures", i)
		}
		want := guard.None
		if i == 4 {
			want = guard.Down
		}
		if got := g.Report(false, now); got != want {
			t.Errorf("failure %d: got %v, want %v", i, got, want)
		}
	}
	if g.Try(now.Add(999 * time.Millisecond)) {
		t.Error("asked before a second was over")
	}
	now = now.Add(time.Second)
	if !g.Try(now) {
		t.Error("no probe after a second")
	}
	if g.Try(now) {
		t.Error("two probes at once")
	}
	g.Report(false, now)
	if g.Try(now.Add(999 * time.Millisecond)) {
		t.Error("a failed probe opened the way")
	}
	if got := g.Report(true, now); got != guard.Back {
		t.Errorf("success: got %v, want Back", got)
	}
	if !g.Try(now) || g.Report(true, now) != guard.None {
		t.Error("not open after a success")
	}
}
