package store

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// One response that is not stored may be an exception. After two in a row, requests no
// longer wait for each other, in any instance.
func TestTwoMarksInARowAreAHitForMiss(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		rdb := g.Client(t)
		s, other := open(t, rdb, set), open(t, rdb, set)
		ready(t, s)
		p := s.Place(target("/"), "")
		for n, want := range []bool{false, true, true} {
			f := find(t, s, p, nil)
			counter := redistest.Count(rdb)
			if got := s.MarkHitForMiss(t.Context(), &f, plain, time.Minute); got != want || counter.Trips() != 1 {
				t.Errorf("mark %d: got %v in %d round trips, want %v", n, got, counter.Trips(), want)
			}
			f, err := other.Find(t.Context(), p, nil, true)
			if err != nil || f.HitForMiss != want || (f.Lease == "") != want || f.Large {
				t.Errorf("after mark %d: got %+v, %v", n, f, err)
			}
			if f.HitForMissLeft <= time.Minute-patience || f.HitForMissLeft > time.Minute {
				t.Errorf("after mark %d: %v left", n, f.HitForMissLeft)
			}
			other.ReleaseUnused(&f)
			gone(t, rdb, p.LeaseKey("0"), "the lease")
		}
	})
}

func TestAMarkEndsItsLease(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	counter := redistest.Count(rdb)
	for name, mark := range map[string]func(f *Found){
		"hit-for-miss": func(f *Found) { s.MarkHitForMiss(t.Context(), f, plain, time.Minute) },
		"large":        func(f *Found) { s.MarkLarge(t.Context(), f) },
	} {
		f := acquire(t, s, s.Place(target("/"+name), ""), nil)
		if got := spent(counter, func() { mark(&f) }); got != 1 || f.Lease != "" || exists(t, rdb, f.LeaseKey("0")) {
			t.Errorf("%s: %d round trips, lease %q", name, got, f.Lease)
		}
	}
}

// A mark for requests with a cookie does not count for requests without.
func TestClassesAreMarkedApart(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	with := header("Cookie: a=b")
	if ClassOf(with) != withCookie || ClassOf(header("Accept: x")) != plain || ClassOf(nil) != plain {
		t.Error("a request has the wrong class")
	}
	f := find(t, s, p, with)
	for range 2 {
		s.MarkHitForMiss(t.Context(), &f, withCookie, time.Minute)
	}
	if a, b := find(t, s, p, with), find(t, s, p, nil); !a.HitForMiss || b.HitForMiss {
		t.Errorf("with a cookie %v, without %v", a.HitForMiss, b.HitForMiss)
	}
}

// A response that is stored resets the count.
func TestAFillEndsTheCountOfHitForMiss(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	f := find(t, s, p, nil)
	s.MarkHitForMiss(t.Context(), &f, plain, time.Minute)
	put(t, s, p, nil, entry("x"))
	purge(t, s, p.Mark(false))
	if s.MarkHitForMiss(t.Context(), &f, plain, time.Minute) {
		t.Error("the mark counts twice, with a fill between")
	}
}

func TestAMarkExpires(t *testing.T) {
	s, rdb := alone(t)
	f := find(t, s, s.Place(target("/"), ""), nil)
	for range 2 {
		s.MarkHitForMiss(t.Context(), &f, plain, 50*time.Millisecond)
	}
	gone(t, rdb, f.hitForMissKey("0", plain), "the mark")
	if s.MarkHitForMiss(t.Context(), &f, plain, time.Minute) {
		t.Error("what was marked long ago counts")
	}
}

// A body that is too large concerns both classes of requests, from the first mark on.
func TestALargeBodyIsMarkedForAll(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	f := find(t, s, p, nil)
	s.MarkLarge(t.Context(), &f)
	ttl(t, rdb, p.largeKey("0"), largeFor-time.Minute, largeFor)
	for _, h := range []string{"Accept: x", "Cookie: a=b"} {
		f, err := open(t, rdb, s.set).Find(t.Context(), p, header(h), true)
		if err != nil || !f.Large || f.Lease != "" || f.HitForMiss != true {
			t.Errorf("%s: got %+v, %v", h, f, err)
		}
	}
}

// While Redis is away the process counts for itself, and sends nothing.
func TestWithoutRedisAProcessCountsForItself(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, rdb, settings(t))
	counter := redistest.Count(rdb)
	mark := func(path string, of Class, d time.Duration) bool {
		return s.MarkHitForMiss(t.Context(), &Found{Place: s.Place(target(path), ""), Variant: "0"}, of, d)
	}
	for _, tc := range []struct {
		path string
		of   Class
		d    time.Duration
		want bool
	}{
		{"/", plain, time.Hour, false},
		{"/other", plain, time.Hour, false},
		{"/", plain, time.Hour, true},
		{"/", withCookie, time.Hour, false},
		{"/", plain, time.Hour, false},
		{"/", plain, -time.Hour, true}, // which has expired by the next
		{"/", plain, time.Hour, false},
	} {
		if got := mark(tc.path, tc.of, tc.d); got != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
	s.MarkLarge(t.Context(), &Found{Place: s.Place(target("/"), ""), Variant: "0"})
	if counter.Trips() != 0 {
		t.Errorf("%d round trips", counter.Trips())
	}
}

// While Redis is away the count of the process is used, afterwards the mark in Redis.
func TestALookUpThatFailsKnowsWhatTheProcessCounted(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	s := open(t, clientOf(t, proxy), settings(t))
	p := s.Place(target("/"), "")
	proxy.Refuse()
	for n, want := range []bool{false, false, true} {
		f, err := s.Find(t.Context(), p, nil, true)
		if err == nil || f.HitForMiss != want || f.Reachable() {
			t.Errorf("after %d marks: got %+v, %v", n, f, err)
		}
		if f, _ := s.Find(t.Context(), p, header("Cookie: a=b"), true); f.HitForMiss {
			t.Errorf("after %d marks: a request with a cookie has them too", n)
		}
		s.MarkHitForMiss(t.Context(), &f, plain, time.Hour)
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool {
		f, err := s.Find(t.Context(), p, nil, false)
		return err == nil && !f.HitForMiss
	}, "Redis has no mark")
}

// While Redis is away the count is unknown. Requests must not wait for each other
// during an outage.
func TestAMarkThatCannotBeWrittenIsAHitForMiss(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	s := open(t, clientOf(t, proxy), settings(t))
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	proxy.Refuse()
	if !s.MarkHitForMiss(t.Context(), &f, plain, time.Minute) || f.Lease != "" {
		t.Errorf("got %+v", f)
	}
	proxy.Heal()
	gone(t, server.Client(t), f.LeaseKey("0"), "the lease")
}
