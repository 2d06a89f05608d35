package chaintest

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// Limits with several policies are decided by Redis however long the slot of their
// client is held open, before its key has moved and afterwards, for a client that was
// there and for a new one: no call has two keys, so none is refused (TRYAGAIN), and
// each charge counts once.
func TestSeveralPoliciesWhileASlotIsOpen(t *testing.T) {
	const many = 1_000_000
	c := redistest.NewCluster(t, 0)
	rdb := connecttest.Open(t, c.Target().URL).Client()
	hour, minute := ratelimit.Window(many, time.Hour), ratelimit.PerMinute(many)
	for name, limits := range map[string][]ratelimit.Limit{
		"two windows":       {hour, ratelimit.Window(many, 2*time.Hour)},
		"bucket and window": {minute, hour},
		"three kinds":       {minute, hour, ratelimit.Concurrency(many)},
	} {
		for _, before := range []int{0, 3} {
			t.Run(name, func(t *testing.T) {
				l := must(ratelimit.New(rdb, ratelimit.Limit{}, ratelimit.WithLimits(limits...), ratelimit.WithKeyPrefix(redistest.Prefix(t)), ratelimit.WithTimeout(2*time.Second)))
				used := 0
				ask := func() { // the slot stays as it is until Redis has decided, or the timeout is over
					t.Helper()
					d, leave, err := l.Enter(t.Context(), "client", 1)
					if err != nil || !d.Allowed || d.Source != "redis" {
						t.Fatalf("decided by %q: %+v, %v", d.Source, d, err)
					}
					leave()
					used++
				}
				for range before {
					ask()
				}
				key := l.Keys("client")[0]
				move := c.OpenSlot(t, key)
				for _, migrate := range []bool{false, true} {
					if migrate {
						move.Migrate(t, key)
					}
					for range 200 {
						ask()
					}
				}
				d, err := l.AllowN(t.Context(), "client", 0)
				for _, s := range d.Policies() {
					if want := many - used; err != nil || s.Policy == "1000000-in-3600s" && s.Remaining != want {
						t.Errorf("%s: %d remaining, %v, want %d", s.Policy, s.Remaining, err, want)
					}
				}
				if err := l.Block(t.Context(), "client", time.Minute); err != nil {
					t.Errorf("block: %v", err)
				}
				if d, err := l.Allow(t.Context(), "client"); err != nil || d.Allowed {
					t.Errorf("blocked: got %+v, %v", d, err)
				}
				if err := l.Reset(t.Context(), "client"); err != nil {
					t.Errorf("reset: %v", err)
				}
				used = 0
				ask()
				move.Finish(t)
				ask()
			})
		}
	}
}
