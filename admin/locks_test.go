package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// lockerOf makes a Locker whose leases are long, so that none is renewed
// while a page is looked at.
func lockerOf(t *testing.T, rdb lockmw.Client, prefix string, opts ...lockmw.Option) *lockmw.Locker {
	t.Helper()
	l, err := lockmw.New(rdb, append([]lockmw.Option{lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(5 * time.Second), lockmw.WithTTL(2 * time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, l)
	return l
}

// hold takes a lock with take, until the test ends or it is let go.
func hold(t *testing.T, take func(context.Context, string) (*lockmw.Lock, error), key string) *lockmw.Lock {
	t.Helper()
	lock, err := take(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release(context.Background()) }) // which some have lost
	return lock
}

func inspect(t *testing.T, l *lockmw.Locker, key string) lockmw.Info {
	t.Helper()
	info, err := l.Inspect(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestALockIsSeenWhileHeldAndTakenAway(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix, events := redistest.Prefix(t), &trail{}
		locks := lockerOf(t, g.Client(t), prefix)
		b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLocks("default", "orders", locks), admin.WithAudit(events.add))
		lock := hold(t, locks.Acquire, "order-7")
		real := inspect(t, locks, "order-7")
		body := b.see("locks", "held", "in 1 min", real.Owner[:14], fmt.Sprint(real.Fence))
		b.see("locks"+q("lock", "order-7"), "held")
		b.see("locks"+q("lock", "order-8"), "no such lock")
		to := linkTo(t, body, "release", prefix)
		b.see("key"+q("key", keyOf(t, to)), "This is a lock", real.Owner, "Take away")
		if status, _ := b.get("confirm" + q("action", "delete", "conn", "default", "key", keyOf(t, to))); status != 400 {
			t.Errorf("the lock may be deleted: %d", status)
		}
		takeAway(b, to, events, real.Owner)
		if err := lock.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
			t.Errorf("the holder is told %v", err)
		}
		if inspect(t, locks, "order-7").Held {
			t.Error("it is still held")
		}
		// Once more: it is another's by now, or nobody's.
		m := whatField.FindStringSubmatch(b.see(to))
		if status, _, _ := b.post("act", "what", m[1], "confirmed", "yes"); status != 400 {
			t.Errorf("a second time is answered %d", status)
		}
		if e := events.last(t, "release"); e.Err == nil {
			t.Error("the audit hook was told of no error")
		}
		b.see("locks", "free")
		again := hold(t, locks.Acquire, "order-7")
		if again.Fence() <= lock.Fence() {
			t.Errorf("fence %d after %d", again.Fence(), lock.Fence())
		}
	})
}

func takeAway(b *browser, to string, events *trail, owner string) {
	b.t.Helper()
	b.confirm(to)
	if e := events.last(b.t, "release"); e.Err != nil || !strings.Contains(e.Detail, owner) {
		b.t.Errorf("got %+v", e)
	}
}

func TestWhoWaitsForALockIsCounted(t *testing.T) {
	g, prefix := redistest.Standalone(t), redistest.Prefix(t)
	one, two := lockerOf(t, g.Client(t), prefix), lockerOf(t, g.Client(t), prefix)
	hold(t, one.Acquire, "busy")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = two.Acquire(ctx, "busy") }()
	t.Cleanup(func() { cancel(); <-gone })
	b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLocks("default", "", one))
	redistest.Eventually(t, patience, func() bool { return inspect(t, one, "busy").Waiters == 1 }, "nobody waits")
	b.see("locks"+q("lock", "busy"), `<td class="n">1</td>`)
}

// Each of those that share a lock is shown, and can be taken from it.
func TestReadersAndPermits(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix, events := g.Client(t), redistest.Prefix(t), &trail{}
		shared, pool := lockerOf(t, rdb, prefix+"rw", lockmw.WithReadWrite(true)), lockerOf(t, rdb, prefix+"n", lockmw.WithPermits(3))
		b := open(t, setOf(t, map[string]string{"default": g.URL}), admin.WithLocks("default", "catalogue", shared), admin.WithLocks("default", "printers", pool),
			admin.WithAudit(events.add))
		hold(t, shared.AcquireShared, "shelf")
		hold(t, shared.AcquireShared, "shelf")
		writing := hold(t, shared.Acquire, "till")
		permits := []*lockmw.Lock{hold(t, pool.Acquire, "printer"), hold(t, pool.Acquire, "printer")}
		b.see("locks"+q("lock", "shelf"), "held", "readers", "and 1 more", "Holders")
		body := b.see("locks"+q("lock", "till"), "held", "a writer", fmt.Sprint(writing.Fence()))
		takeAway(b, linkTo(t, body, "release", prefix+"rw"), events, inspect(t, shared, "till").Owner)
		if err := writing.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
			t.Errorf("the writer is told %v", err)
		}
		b.see("locks"+q("lock", "till"), "free")

		b.see("locks"+q("lock", "printer"), "2 of 3 permits", fmt.Sprint(permits[1].Fence()))
		key := prefix + "n:v1:default:{" + hashOf("printer") + "}:m"
		body = b.see("key"+q("key", key), "This is a lock", "2 of 3 permits", "in 1 min")
		if n := strings.Count(body, "Take away"); n != 2 {
			t.Errorf("%d permits can be taken away", n)
		}
		owner := inspect(t, pool, "printer").Owner
		takeAway(b, linkTo(t, body, "release", strings.ReplaceAll(owner, ":", "%3A")), events, owner)
		b.see("locks"+q("lock", "printer"), "1 of 3 permits")
		lost := 0
		for _, k := range permits {
			if errors.Is(k.Release(t.Context()), lockmw.ErrLost) {
				lost++
			}
		}
		if lost != 1 {
			t.Errorf("%d holders lost their permit", lost)
		}
	})
}

// What a holder left that died, and what a clock that was set leaves behind.
func TestStatesOfALock(t *testing.T) {
	g, ctx := redistest.Standalone(t), t.Context()
	rdb := g.Client(t)
	b := open(t, setOf(t, map[string]string{"default": g.URL}))
	now := time.Now().UnixMilli()
	key := "lockmw:v1:" + redistest.Prefix(t) + ":{00112233445566778899aabbccddeeff}"
	for value, want := range map[string]string{
		fmt.Sprintf("ha:1|%d|9000|1000|0", now+3_600_000): "held",
		fmt.Sprintf("ga:1|%d|9000|1000|1", now+3_600_000): "for one more lease",
		fmt.Sprintf("ra:1|%d|100|1000|0", now+3_600_000):  "reserved",
		fmt.Sprintf("ha:1|%d|9000|1000|0", now-1000):      "lapsed",
		fmt.Sprintf("ra:1|%d|100|1000|0", now-1000):       "free",
		"f|0|0|1000|0": "free",
	} {
		rdb.Set(ctx, key, value, time.Minute)
		b.see("key"+q("key", key), want, "1015") // the last of 16 fences
	}
	for _, broken := range []string{"", "x", "h|||||", "ha:1|-1|9000|1000|0", "h" + strings.Repeat("<", 100) + "|1|1|1|0", "ha:1|99999999999999999|1|1|0"} {
		rdb.Set(ctx, key, broken, time.Minute)
		harmless(t, broken, b.see("key"+q("key", key)))
		harmless(t, broken, b.see("locks"))
	}
	rdb.Del(ctx, key)
	rdb.RPush(ctx, key, "another type")
	b.see("locks")
	b.see("key"+q("key", key), "another type")
}

// Those that vote are seen on each master; none of them can take a lock away
// by itself.
func TestALockOfRedlockIsSeenOnItsMasters(t *testing.T) {
	prefix, urls := redistest.Prefix(t), map[string]string{}
	var (
		nodes []lockmw.Client
		names []string
	)
	for i := range 3 {
		server := redistest.NewServer(t)
		names, nodes = append(names, fmt.Sprint("master-", i)), append(nodes, server.Client(t))
		urls[names[i]] = server.URL()
	}
	set := setOf(t, urls)
	locks, err := lockmw.NewRedlock(nodes, lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(5*time.Second), lockmw.WithTTL(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, locks)
	if err := locks.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lent []admin.Option
	for _, name := range names {
		lent = append(lent, admin.WithLocks(name, "votes", locks))
	}
	b := open(t, set, lent...)
	lock := hold(t, locks.Acquire, "order-7")
	seen := 0
	for _, name := range names { // the third may not have been waited for
		redistest.Eventually(t, patience, func() bool {
			body := b.see("locks" + q("conn", name, "lock", "order-7"))
			if strings.Contains(body, "action=release") {
				t.Fatalf("%s offers to take it away", name)
			}
			return strings.Contains(body, "held")
		}, "%s does not show it", name)
		if strings.Contains(b.see("locks"+q("conn", name)), fmt.Sprint(lock.Fence()+15)) {
			seen++
		}
	}
	if seen < 2 {
		t.Errorf("%d of three masters have its fence", seen)
	}
}
