package idempotency_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// A master that dies while the handler runs: what its replica confirmed is not
// run again.
func TestFailoverWhileItRuns(t *testing.T) {
	servers := redistest.NewSentinel(t)
	rdb := servers.Target().Client(t)
	var runs, failed atomic.Int32
	locks := locker(t, rdb, "p", lockmw.WithTTL(2*time.Second), lockmw.WithTimeout(500*time.Millisecond))
	h := keeperOver(t, locks, rdb, "p", idempotency.WithTimeout(500*time.Millisecond), idempotency.WithWaitReplicas(1, 5*time.Second), idempotency.WithHooks(idempotency.Hooks{
		Failed: func(context.Context, error) { failed.Add(1) },
	})).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runs.Add(1) == 1 {
			old := servers.Master()
			old.Kill()
			servers.WaitPromoted(t, old)
		}
		io.WriteString(w, "done")
	}))
	wantAnswer(t, "first", post(h, "k", "5"), 200, "done", false)
	redistest.Eventually(t, patience, func() bool { return post(h, "k", "5").Code == 200 }, "not recorded by the new master")
	wantAnswer(t, "retry", post(h, "k", "5"), 200, "done", true)
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
	// There is no replica any more.
	failed.Store(0)
	short := keeperOver(t, locks, rdb, "p", idempotency.WithWaitReplicas(1, 50*time.Millisecond), idempotency.WithHooks(idempotency.Hooks{
		Failed: func(context.Context, error) { failed.Add(1) },
	})).Handler(paid(&runs))
	want(t, "not confirmed", post(short, "k2", "5"), 503, "unavailable")
	if runs.Load() != 1 || failed.Load() != 1 {
		t.Errorf("%d runs, %d calls of the hook", runs.Load(), failed.Load())
	}
	without := keeper(t, rdb, "p").Handler(paid(&runs))
	redistest.Eventually(t, patience, func() bool { return post(without, "k2", "5").Code == 201 }, "what was not confirmed is not forgotten")
}

// Each shard of a cluster is asked for what is its own.
func TestWaitReplicasOnACluster(t *testing.T) {
	servers := redistest.NewCluster(t, 1)
	rdb := servers.Target().Client(t)
	var runs atomic.Int32
	h := keeper(t, rdb, "p", idempotency.WithWaitReplicas(1, 10*time.Second)).Handler(paid(&runs))
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if w := post(h, key, "5"); w.Code != 201 {
			t.Errorf("%s: got %d %s", key, w.Code, w.Body)
		}
	}
	bare := keeper(t, redistest.Cluster(t).Client(t), redistest.Prefix(t), idempotency.WithWaitReplicas(1, 50*time.Millisecond)).Handler(paid(&runs))
	want(t, "without replicas", post(bare, "a", "5"), 503, "unavailable")
	if runs.Load() != 6 {
		t.Errorf("%d runs", runs.Load())
	}
}
