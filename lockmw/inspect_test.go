package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// An operator sees who holds a lock and how many wait, and takes it away: the
// holder is told, and the next has a greater fence.
func TestInspectAndForceRelease(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		one, two := locker(t, rdb, lockmw.WithKeyPrefix(prefix)), locker(t, g.Client(t), lockmw.WithKeyPrefix(prefix))
		if info, err := one.Inspect(t.Context(), "key"); err != nil || !reflect.DeepEqual(info, lockmw.Info{}) {
			t.Errorf("never held: %+v, %v", info, err)
		}
		// An instance that has waited is subscribed, so the holder is told of its loss at once.
		warm := acquire(t, two, "warm")
		go func() {
			<-time.After(50 * time.Millisecond)
			_ = warm.Release(context.Background())
		}()
		acquire(t, one, "warm").Release(t.Context())

		k := acquire(t, one, "key")
		next := make(chan *lockmw.Lock, 1)
		go func() {
			n, err := two.Acquire(context.Background(), "key")
			if err != nil {
				t.Error(err)
			}
			next <- n
		}()
		redistest.Eventually(t, patience, func() bool {
			info, err := one.Inspect(t.Context(), "key")
			return err == nil && info.Held && info.Waiters == 1 && info.Left > 0 && info.Left <= 10*time.Second && info.Fence >= k.Fence()
		}, "the state is not seen")
		info, err := two.Inspect(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, "another"); ok || err != nil {
			t.Errorf("taken from another: %v, %v", ok, err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, info.Owner); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
		select {
		case <-k.Context().Done():
			if cause := context.Cause(k.Context()); !errors.Is(cause, lockmw.ErrLost) {
				t.Errorf("the holder was told %v", cause)
			}
		case <-time.After(time.Second):
			t.Error("the holder was not told")
		}
		n := <-next
		if n.Fence() <= k.Fence() {
			t.Errorf("fence %d after %d", n.Fence(), k.Fence())
		}
		if err := n.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if ok, err := two.ForceRelease(t.Context(), info.Key, info.Owner); ok || err != nil {
			t.Errorf("taken twice: %v, %v", ok, err)
		}
	})
}

// Many locks are read in one round trip, also of keys that have gone, hold
// something else or are not locks: these say nothing of the others.
func TestInspectManyLocks(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		one := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(time.Minute))
		readers := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithName("readers"), lockmw.WithReadWrite(true), lockmw.WithTTL(time.Minute))
		permits := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithName("permits"), lockmw.WithPermits(3), lockmw.WithTTL(time.Minute))
		held := acquire(t, one, "held")
		var shared []*lockmw.Lock
		for range 2 {
			k, err := readers.AcquireShared(t.Context(), "shared")
			if err != nil {
				t.Fatal(err)
			}
			shared = append(shared, k)
		}
		writer := acquire(t, readers, "written")
		permit := acquire(t, permits, "permit")
		list := prefix + ":v1:default:{00112233445566778899aabbccddeeff}"
		rdb.RPush(t.Context(), list, "another type")
		count := redistest.Count(rdb)
		keys := []string{one.RedisKey("held"), one.RedisKey("never held"), readers.RedisKey("shared") + ":m", readers.RedisKey("written") + ":m", permits.RedisKey("permit") + ":m", list}
		infos, err := lockmw.Inspect(t.Context(), rdb, keys...)
		if err != nil || len(infos) != len(keys) {
			t.Fatalf("%d of %d, %v", len(infos), len(keys), err)
		}
		if trips := count.Trips(); trips > 1 && g.Name == "standalone" {
			t.Errorf("%d round trips", trips)
		}
		for i, want := range []lockmw.Info{
			{Key: keys[0], Held: true, Holders: 1, Fence: held.Fence() + 15},
			{},
			{Key: keys[2], Held: true, Holders: 2, Shared: true, Fence: shared[0].Fence()},
			{Key: keys[3], Held: true, Holders: 1, Shared: true, Writer: true, Fence: writer.Fence()},
			{Key: keys[4], Held: true, Holders: 1, Shared: true, Permits: 3, Fence: permit.Fence()},
			{},
		} {
			got := infos[i]
			if len(got.Leases) != got.Holders || want.Held && (got.Leases[got.Owner] != got.Left || got.Left <= 0 || got.Left > time.Minute) {
				t.Errorf("%s: %d leases, %+v", keys[i], len(got.Leases), got)
			}
			got.Leases, got.Owner, got.Left = nil, "", 0
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", keys[i], got, want)
			}
		}
		for _, k := range append(shared, held, writer, permit) {
			if err := k.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if infos, err := lockmw.Inspect(t.Context(), rdb); len(infos) != 0 || err != nil {
			t.Errorf("of no keys: %v, %v", infos, err)
		}
	})
}

// What a holder that died leaves, and what a clock that was set leaves.
func TestInspectStates(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	key := redistest.Prefix(t) + ":v1:default:{00112233445566778899aabbccddeeff}"
	now := time.Now().UnixMilli()
	for value, want := range map[string]lockmw.Info{
		fmt.Sprintf("ha:1|%d|9000|1000|0", now+3_600_000): {Held: true, Owner: "a:1", Holders: 1},
		fmt.Sprintf("ga:1|%d|9000|1000|1", now+3_600_000): {Held: true, Owner: "a:1", Holders: 1, Grace: true},
		fmt.Sprintf("ra:1|%d|100|1000|0", now+3_600_000):  {Reserved: true},
		fmt.Sprintf("ha:1|%d|9000|1000|0", now-1000):      {Lapsed: true},
		fmt.Sprintf("ra:1|%d|100|1000|0", now-1000):       {},
		"f|0|0|1000|0": {},
	} {
		rdb.Set(t.Context(), key, value, time.Minute)
		infos, err := lockmw.Inspect(t.Context(), rdb, key)
		if err != nil || len(infos) != 1 {
			t.Fatal(infos, err)
		}
		got := infos[0]
		if live := want.Held || want.Reserved; live != (got.Left > 0) {
			t.Errorf("%s: %v left", value, got.Left)
		}
		want.Key, want.Fence = key, 1015 // the last of 16 that are reserved
		got.Left, got.Leases = 0, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", value, got, want)
		}
	}
	for _, broken := range []string{"", "x", "h|||||", "ha:1|-1|9000|1000|0", "h" + strings.Repeat("a", 300) + "|1|1|1|0", "ha:1|99999999999999999|1|1|0"} {
		rdb.Set(t.Context(), key, broken, time.Minute)
		if infos, err := lockmw.Inspect(t.Context(), rdb, key); err != nil || !reflect.DeepEqual(infos, []lockmw.Info{{}}) {
			t.Errorf("%q: got %+v, %v", broken, infos, err)
		}
	}
}

// A right that is missing is not an empty page, and neither is an outage.
func TestInspectErrors(t *testing.T) {
	s := redistest.NewServer(t)
	l := locker(t, s.Client(t))
	if _, err := lockmw.Inspect(t.Context(), restricted(t, s, "nozset", "-zcard"), l.RedisKey("key")); !errors.Is(err, lockmw.ErrSetup) || errors.Is(err, lockmw.ErrUnavailable) {
		t.Errorf("a missing right: %v", err)
	}
	s.Kill()
	if _, err := lockmw.Inspect(t.Context(), s.Client(t), l.RedisKey("key")); !errors.Is(err, lockmw.ErrUnavailable) || !strings.HasPrefix(err.Error(), "lockmw: inspect: redis is unavailable: ") {
		t.Errorf("an outage: %v", err)
	}
}

// The function reads what the method cannot: each of several masters.
func TestInspectMasters(t *testing.T) {
	masters := newMasters(t, 3)
	l := masters.locker(t)
	if _, err := l.Inspect(t.Context(), "key"); err == nil {
		t.Error("the method reads one master")
	}
	k := acquire(t, l, "key")
	agreed := 0
	for _, s := range masters.servers {
		redistest.Eventually(t, patience, func() bool { // the third may not have been waited for
			infos, err := lockmw.Inspect(t.Context(), s.Client(t), l.RedisKey("key"))
			if err != nil {
				t.Fatal(err)
			}
			if infos[0].Fence == k.Fence()+15 {
				agreed++
			}
			return infos[0].Held
		}, "a master does not show it")
	}
	if agreed < 2 {
		t.Errorf("%d of three masters have the fence", agreed)
	}
	_ = k.Release(t.Context())
}
