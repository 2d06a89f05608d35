package lease_test

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/lockmw/internal/lease"
)

func TestLeft(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		since time.Time
		want  time.Duration
	}{
		"fresh":                           {now, 10*time.Second - 102*time.Millisecond},
		"after three seconds":             {now.Add(-3 * time.Second), 7*time.Second - 102*time.Millisecond},
		"over":                            {now.Add(-11 * time.Second), -1102 * time.Millisecond},
		"suspended: no monotonic reading": {now.Add(-3 * time.Second).Round(0), 7*time.Second - 102*time.Millisecond},
	} {
		got := lease.Left(10*time.Second, tc.since, now)
		if diff := got - tc.want; diff < -time.Microsecond || diff > time.Microsecond {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

func TestMargin(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{10 * time.Second: time.Second, 200 * time.Millisecond: 50 * time.Millisecond} {
		if got := lease.Margin(ttl); got != want {
			t.Errorf("of %v: got %v, want %v", ttl, got, want)
		}
	}
}
