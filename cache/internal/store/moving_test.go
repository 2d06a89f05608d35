package store

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// While a slot moves to another node of the cluster, the commands on several of its keys
// are refused. Calls wait for the end of the move. The log begins again there, as after a
// failover: the new master may lack purges.
func TestCallsWaitForASlotThatMoves(t *testing.T) {
	t.Parallel()
	servers := redistest.NewCluster(t, 0)
	rdb := servers.Target().Client(t)
	s := open(t, rdb, settings(t))
	ready(t, s)
	p, filled, missing := s.Place(target("/"), ""), s.Place(target("/filled"), ""), s.Place(target("/missing"), "")
	old := put(t, s, p, nil, entry("x"))
	f := find(t, s, filled, nil)
	move := servers.OpenSlot(t, p.Log)
	move.Migrate(t, p.Log)
	counter := redistest.Count(rdb)
	errs := make(chan error, 3)
	go func() { _, err := s.Find(t.Context(), missing, nil, true); errs <- err }()
	go func() { errs <- s.Fill(t.Context(), f, nil, entry("x")) }()
	go func() { errs <- s.Purge(t.Context(), missing.Mark(false)) }()
	redistest.Eventually(t, patience, func() bool { return counter.Trips() > 20 }, "no call is sent again while the slot moves")
	move.Finish(t)
	for range 3 {
		redistest.NoErrors(t, <-errs)
	}
	s.doubtAll()
	if got := find(t, s, p, nil); got.Entry != nil || got.Inc == old.Inc {
		t.Errorf("the log of before the move counts: %+v", got)
	}
	for _, p := range []Place{p, filled, missing} {
		put(t, s, p, nil, entry("new"))
		if got := served(t, s, p, nil); got != "new" {
			t.Errorf("after the move: got %q", got)
		}
	}
	ttl(t, rdb, p.Log, s.set.logTTL()-time.Minute, s.set.logTTL())
}
