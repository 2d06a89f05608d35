package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Of all instances one acquires the lease, until it is released.
func TestOneInstanceHasTheLease(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		s, other := open(t, g.Client(t), set), open(t, g.Client(t), set)
		p := s.Place(target("/"), "")
		f := acquire(t, s, p, nil)
		got, err := other.Find(t.Context(), p, nil, true)
		if err != nil || got.Lease != "" || got.HitForMiss {
			t.Fatalf("a second one: got %+v, %v", got, err)
		}
		s.Release(f.Detach())
		redistest.Eventually(t, patience, func() bool {
			f, err := other.Find(t.Context(), p, nil, true)
			return err == nil && f.Lease != ""
		}, "the lease that was released is not acquired")
	})
}

// Variants and URLs have leases of their own.
func TestEachVariantHasItsLease(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, header("X: 0"), entry("x", "Vary: X"))
	seen := map[string]bool{}
	find(t, s, p, header("X: 1")) // by which the process learns that it does not have all variants
	for _, x := range []string{"X: 1", "X: 2"} {
		f := acquire(t, s, p, header(x))
		seen[f.LeaseKey(f.Variant)] = true
	}
	f := acquire(t, s, s.Place(target("/other"), ""), nil)
	if seen[f.LeaseKey(f.Variant)] = true; len(seen) != 3 {
		t.Errorf("leases: %v", seen)
	}
}

// A look-up without lease, and one in a process that knows of a fresh entry, acquires
// none.
func TestALeaseIsAcquiredOnlyForAMiss(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	find(t, s, p, nil)
	if exists(t, rdb, p.LeaseKey("0")) {
		t.Error("a look-up without lease takes one")
	}
	put(t, s, p, nil, entry("x"))
	s.bases[0].checked.Store(int64(time.Hour)) // so that only a lease needs the script
	counter := redistest.Count(rdb)
	f, err := s.Find(t.Context(), p, nil, true)
	if err != nil || f.Lease != "" || counter.Trips() != 1 || counter.Commands()["evalsha"] != 0 {
		t.Errorf("with a fresh entry: %+v, %v; commands %v", f, err, counter.Commands())
	}
}

// A lease is used by one request of the process, whichever is first.
func TestALeaseIsClaimedOnce(t *testing.T) {
	s, _ := alone(t)
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	key := f.LeaseKey(f.Variant)
	if got := s.Claim(key, "another"); got != "" {
		t.Errorf("by another token: got %q", got)
	}
	if got := s.Claim("another", ""); got != "" {
		t.Errorf("by another key: got %q", got)
	}
	if got := s.Claim(key, ""); got != f.Lease {
		t.Errorf("by the key: got %q, want %q", got, f.Lease)
	}
	if got := s.Claim(key, f.Lease); got != "" {
		t.Errorf("a second time: got %q", got)
	}
}

func TestALeaseThatNoRequestUsesIsReleased(t *testing.T) {
	s, rdb := alone(t)
	used, unused := acquire(t, s, s.Place(target("/used"), ""), nil), acquire(t, s, s.Place(target("/unused"), ""), nil)
	s.Claim(used.LeaseKey("0"), used.Lease)
	none := find(t, s, s.Place(target("/none"), ""), nil)
	for _, f := range []*Found{&used, &unused, &none} {
		s.ReleaseUnused(f)
	}
	gone(t, rdb, unused.LeaseKey("0"), "the lease that was not used")
	if !exists(t, rdb, used.LeaseKey("0")) {
		t.Error("the lease that a request has claimed is released")
	}
}

// A lease past half its TTL is not used, since it could expire before the response is
// complete. The number of leases in a process is bounded.
func TestLeasesThatAreOffered(t *testing.T) {
	var l leases
	l.offer("old", "a", -time.Second)
	if got := l.claim("old", ""); got != "" {
		t.Errorf("after half its time: got %q", got)
	}
	for n := range maxFree {
		if drop := l.offer(fmt.Sprint(n), "a", time.Hour); drop.Token != "" {
			t.Fatalf("%d leases: %+v is dropped", n, drop)
		}
	}
	drop := l.offer("new", "b", time.Hour)
	if drop.Token != "a" || drop.Key == "new" || len(l.free) != maxFree || l.claim("new", "b") != "b" {
		t.Errorf("one more: %+v is dropped of %d", drop, len(l.free))
	}
	if got := l.all(); len(got) != maxFree-1 || len(l.free) != 0 {
		t.Errorf("%d are taken, %d left", len(got), len(l.free))
	}
}

// An instance that was paused for longer than the TTL of its lease must not release the
// lease of the next holder.
func TestALeaseOfAnotherIsNotReleased(t *testing.T) {
	s, rdb := alone(t)
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	mine := f.Detach()
	redistest.NoErrors(t, rdb.Set(t.Context(), mine.Key, "another's", time.Minute).Err())
	second := acquire(t, s, s.Place(target("/second"), ""), nil)
	s.Release(mine)
	s.Release(second.Detach())
	gone(t, rdb, second.LeaseKey("0"), "the lease that was released last")
	if got := rdb.Get(t.Context(), mine.Key).Val(); got != "another's" {
		t.Errorf("got %q", got)
	}
}

// After a failure of the handler a lease stays for a moment, so that not all instances
// call it at once.
func TestAReleasedLeaseMayStayForAWhile(t *testing.T) {
	s, rdb := alone(t)
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	l := f.Detach()
	l.Stay = 20 * time.Second
	s.Release(l)
	redistest.Eventually(t, patience, func() bool { return rdb.PTTL(t.Context(), l.Key).Val() <= l.Stay }, "the lease has its full time")
	if got := rdb.Get(t.Context(), l.Key).Val(); got != l.Token {
		t.Errorf("got %q, want %q", got, l.Token)
	}
}

// Many leases that are released together cost few round trips.
func TestLeasesAreReleasedInBatches(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	p := s.Place(target("/"), "")
	var batch []Lease
	for n := range returnBatch + 20 {
		l := Lease{Key: p.LeaseKey(fmt.Sprint(n)), Token: "t"}
		redistest.NoErrors(t, rdb.Set(t.Context(), l.Key, l.Token, time.Minute).Err())
		batch = append(batch, l)
	}
	s.returns.all, s.returns.running, s.returns.wake = nil, true, make(chan struct{}) // so that nothing begins yet
	for _, l := range batch {
		s.Release(l)
	}
	counter := redistest.Count(rdb)
	s.giveLeasesBack(t.Context())
	if got := counter.Trips(); got != 2 {
		t.Errorf("%d round trips for %d leases", got, len(batch))
	}
	for _, l := range batch {
		if exists(t, rdb, l.Key) {
			t.Fatalf("%s is still there", l.Key)
		}
	}
}

// Redis may execute the command that acquires a lease late, after its reply was given
// up. The release is repeated until it finds the lease.
func TestALateLeaseIsReleased(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	l := Lease{Key: p.LeaseKey("0"), Token: "late", unsure: true}
	counter := redistest.Count(rdb)
	s.Release(l)
	redistest.Eventually(t, patience, func() bool { return counter.Trips() >= 3 }, "the release is not repeated")
	redistest.NoErrors(t, rdb.Set(t.Context(), l.Key, l.Token, time.Minute).Err())
	gone(t, rdb, l.Key, "the late lease")
	redistest.Eventually(t, patience, func() bool {
		s.returns.mu.Lock()
		defer s.returns.mu.Unlock()
		return !s.returns.running && len(s.returns.all) == 0
	}, "the release is repeated after it succeeded")
}

func TestALeaseWhoseReplyIsLostIsReleased(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	direct := server.Client(t)
	for name, take := range map[string]func(s *Store, p Place) (key string){
		"a look-up": func(s *Store, p Place) string {
			f, err := s.Find(t.Context(), p, nil, true)
			if err == nil || f.Lease != "" {
				t.Errorf("without a reply: got %+v, %v", f, err)
			}
			return p.LeaseKey("0")
		},
		"a refresh": func(s *Store, p Place) string {
			if _, ok := s.AcquireRefresh(t.Context(), &Found{Place: p, Variant: "0"}); ok {
				t.Error("a refresh without a reply")
			}
			return p.refreshKey("0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, server.Addr())
			set := settings(t)
			set.ReadTimeout, set.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
			s := open(t, clientOf(t, proxy), set)
			p := s.Place(target("/"), "")
			redistest.Eventually(t, patience, func() bool { _, err := s.Find(t.Context(), p, nil, false); return err == nil }, "Redis does not answer")
			proxy.SwallowReplies()
			key := take(s, p)
			redistest.Eventually(t, patience, func() bool { return exists(t, direct, key) }, "the command did not arrive")
			proxy.Heal()
			proxy.CloseConns()
			gone(t, direct, key, "the lease")
		})
	}
}

// A release right after a call that failed may overtake the command that acquires the
// lease, so it must not end by finding none.
func TestALeaseOfACallThatFailedIsUnsure(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(s *Store, f *Found){
		"a look-up": func(s *Store, f *Found) { _, _ = s.Find(t.Context(), f.Place, nil, true) },
		"a mark":    func(s *Store, f *Found) { s.MarkHitForMiss(t.Context(), f, plain, time.Minute) },
		"a refresh": func(s *Store, f *Found) { s.AcquireRefresh(t.Context(), f) },
	} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
			s := open(t, clientOf(t, proxy), settings(t))
			f := Found{Place: s.Place(target("/"), ""), Variant: "0", Inc: "inc", Lease: "token"}
			s.returns.running, s.returns.wake = true, make(chan struct{}) // so that nothing is released yet
			proxy.Refuse()
			call(s, &f)
			proxy.Heal()
			if all := s.returns.all; len(all) != 1 || !all[0].unsure || all[0].Token == "" {
				t.Errorf("to be released: %+v", all)
			}
		})
	}
}

// A release that fails is repeated until Redis is back.
func TestAReleaseIsRepeatedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	rdb := clientOf(t, proxy)
	s := open(t, rdb, settings(t))
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	proxy.Refuse()
	counter := redistest.Count(rdb)
	s.Release(f.Detach())
	redistest.Eventually(t, patience, func() bool { return counter.Trips() >= 3 }, "the release is not repeated")
	proxy.Heal()
	gone(t, server.Client(t), f.LeaseKey("0"), "the lease")
}

// A look-up may acquire the lease and fail in a later round trip.
func TestALookUpThatFailsHalfwayReleasesItsLease(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	warm := open(t, server.Client(t), settings(t))
	p := warm.Place(target("/"), "")
	put(t, warm, p, header("X: 1"), entry("x", "Vary: X"))
	rdb := clientOf(t, proxy)
	hook := &after{}
	rdb.AddHook(hook)
	s := open(t, rdb, warm.set) // it does not know that X selects
	hook.next(proxy.Refuse)
	f, err := s.Find(t.Context(), p, header("X: 1"), true)
	if !errors.Is(Wrap("look up", err), unavailable.Err) || f.Lease != "" || f.Entry != nil || f.Reachable() {
		t.Errorf("got %+v, %v", f, err)
	}
	direct := server.Client(t)
	if !exists(t, direct, p.LeaseKey("0")) {
		t.Fatal("the first round trip acquired no lease")
	}
	proxy.Heal()
	gone(t, direct, p.LeaseKey("0"), "the lease")
}

// Other instances do not wait for the leases of a process that has ended.
func TestCloseReleasesAllLeases(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	s := New(rdb, set)
	var held []string
	for n := range 5 {
		f := acquire(t, s, s.Place(target(fmt.Sprint("/", n)), ""), nil)
		held = append(held, f.LeaseKey(f.Variant))
	}
	refreshed := find(t, s, s.Place(target("/r"), ""), nil)
	l, ok := s.AcquireRefresh(t.Context(), &refreshed)
	if !ok {
		t.Fatal("no lease to refresh")
	}
	s.Release(l)
	redistest.NoErrors(t, s.Close(t.Context()))
	for _, key := range append(held, l.Key) {
		if exists(t, rdb, key) {
			t.Errorf("%s is still there", key)
		}
	}
}

// After Close a request releases its lease synchronously, and no look-up acquires one.
func TestALeaseAfterClose(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	s := New(rdb, settings(t))
	p := s.Place(target("/"), "")
	f := acquire(t, s, p, nil)
	s.Claim(f.LeaseKey("0"), f.Lease)
	redistest.NoErrors(t, s.Close(t.Context()))
	if !exists(t, rdb, p.LeaseKey("0")) {
		t.Fatal("Close released the lease of a request that uses it")
	}
	s.Release(f.Detach())
	if exists(t, rdb, p.LeaseKey("0")) {
		t.Error("the lease is still there when Release has returned")
	}
	if f, err := s.Find(t.Context(), p, nil, true); err != nil || f.Lease != "" || exists(t, rdb, p.LeaseKey("0")) {
		t.Errorf("a look-up after Close: got %+v, %v", f, err)
	}
}

func TestOneInstanceRefreshes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		rdb := g.Client(t)
		s, other := open(t, rdb, set), open(t, rdb, set)
		p := s.Place(target("/"), "")
		put(t, s, p, nil, entry("x"))
		f, same := find(t, s, p, nil), find(t, other, p, nil)
		counter := redistest.Count(rdb)
		l, ok := s.AcquireRefresh(t.Context(), &f)
		if !ok || counter.Trips() != 1 {
			t.Fatalf("acquired: %v, in %d round trips", ok, counter.Trips())
		}
		ttl(t, rdb, l.Key, set.RefreshTimeout-patience, set.RefreshTimeout+time.Second)
		if _, ok := other.AcquireRefresh(t.Context(), &same); ok {
			t.Error("a second one refreshes")
		}
		s.Release(l)
		redistest.Eventually(t, patience, func() bool { _, ok := other.AcquireRefresh(t.Context(), &same); return ok }, "no other may refresh")
	})
}

// A server that refuses writes still serves its entries. There are no leases then:
// requests do not wait for a response that cannot be stored.
func TestAServerThatRefusesWritesStillServes(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(ctx context.Context, rdb *redis.Client) error{
		"full": func(ctx context.Context, rdb *redis.Client) error { return rdb.ConfigSet(ctx, "maxmemory", "1").Err() },
		"without replicas": func(ctx context.Context, rdb *redis.Client) error {
			return rdb.ConfigSet(ctx, "min-replicas-to-write", "1").Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.NewServer(t).Client(t)
			s := open(t, rdb, settings(t))
			p, missing := s.Place(target("/"), ""), s.Place(target("/missing"), "")
			put(t, s, p, nil, entry("x"))
			redistest.NoErrors(t, refuse(t.Context(), rdb))
			for _, s := range []*Store{s, open(t, rdb, s.set)} {
				f, err := s.Find(t.Context(), p, nil, true)
				if err != nil || !f.Fresh() {
					t.Errorf("what is stored: got %+v, %v", f, err)
				}
				f, err = s.Find(t.Context(), missing, nil, true)
				if err != nil || f.Lease != "" || !f.HitForMiss || f.Large {
					t.Errorf("what is not: got %+v, %v", f, err)
				}
			}
		})
	}
}

// A pipeline is sent again when the server did not know the script: the same token
// acquires the same lease.
func TestTheSameTokenAcquiresItsLeaseAgain(t *testing.T) {
	s, _ := alone(t)
	f := Found{Place: s.Place(target("/"), ""), Variant: "0"}
	for _, tc := range []struct {
		token string
		want  int64
	}{{"a", 1}, {"a", 1}, {"b", 0}, {"", 0}} {
		call := s.looking(&f, wanted{class: plain, token: tc.token}, true)[0]
		say, err := s.caller.Ints(t.Context(), s.lookScript, call.keys, call.args...)
		if err != nil || len(say) != 4 || say[0] != tc.want {
			t.Errorf("token %q: got %v, %v, want %d", tc.token, say, err, tc.want)
		}
	}
}

// Leases to return are bounded, tried again after longer and longer pauses, and
// forgotten when they have expired.
func TestReturnsWaitAndExpire(t *testing.T) {
	var rs returns
	now := time.Now()
	lease := func(key string, due, until time.Duration) Lease {
		return Lease{Key: key, due: now.Add(due), until: now.Add(until)}
	}
	if !rs.add(lease("expired", -2*time.Hour, -time.Hour)) || rs.add(lease("due", -time.Second, time.Hour)) || rs.add(lease("later", time.Minute, time.Hour)) {
		t.Error("a goroutine is started with the first and with no other")
	}
	batch, pause, _, over := rs.take()
	if len(batch) != 1 || batch[0].Key != "due" || pause > time.Minute || pause < time.Minute-patience || over {
		t.Errorf("got %+v, pause %v, over %v", batch, pause, over)
	}
	for tries, want := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause} {
		before := time.Now()
		batch[0].tries = tries
		rs.keep(batch)
		last := rs.all[len(rs.all)-1]
		if got := last.due.Sub(before); got < want || got > want+patience || last.tries != tries+1 {
			t.Errorf("try %d: in %v, want %v", tries, got, want)
		}
	}
	rs.all = nil
	if _, _, _, over := rs.take(); !over || rs.running {
		t.Error("without leases it is not over")
	}
	for n := range maxReturns + 1 {
		rs.add(lease(fmt.Sprint(n), 0, time.Hour))
	}
	if len(rs.all) != maxReturns || rs.all[0].Key != "1" {
		t.Errorf("%d are kept, the first is %s", len(rs.all), rs.all[0].Key)
	}
}
