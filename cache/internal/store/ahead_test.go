package store

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// sent sends the commands of a look-up as an outer middleware does.
func sent(t *testing.T, rdb redis.UniversalClient, a *Ahead) *Ahead {
	t.Helper()
	if a == nil {
		t.Fatal("nothing is to be asked ahead")
	}
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error { return p.BatchProcess(t.Context(), a.Commands()...) })
	a.Report(err)
	return a
}

// A look-up that was sent ahead finds what Lookup finds, with its lease, and without a
// round trip.
func TestAheadIsALookup(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		set := settings(t)
		s, other := open(t, rdb, set), open(t, rdb, set)
		h := header("Accept-Language: de")
		p := s.Place(target("/"), "")
		if _, err := s.Lookup(t.Context(), p, h, false); err != nil { // loads the script
			t.Fatal(err)
		}
		count := redistest.Count(rdb)
		a := s.Ahead(t.Context(), p, h, true)
		if a.Key() != p.Log || a.Timeout() != set.ReadTimeout || a.Caller() == nil || count.Trips() != 0 {
			t.Errorf("key %s, timeout %v, %d round trips", a.Key(), a.Timeout(), count.Trips())
		}
		sent(t, rdb, a)
		count.Reset()
		f, ok, err := s.Answer(t.Context(), a, p, h)
		if !ok || err != nil || f.Entry != nil || f.Lease == "" || count.Trips() != 0 {
			t.Fatalf("a miss: %+v, %t, %v, %d round trips", f, ok, err, count.Trips())
		}
		if busy, err := other.Find(t.Context(), p, h, true); err != nil || busy.Lease != "" {
			t.Errorf("another instance has the lease as well: %+v, %v", busy, err)
		}
		s.ReleaseUnused(&f)
		redistest.Eventually(t, patience, func() bool {
			f, err := other.Find(t.Context(), p, h, true)
			return err == nil && f.Lease != ""
		}, "the lease is not released")
	})
}

// What it was asked for must be what the request is for by its turn.
func TestAheadIsForOneRequest(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	s := open(t, rdb, settings(t))
	h := header("Accept-Language: de")
	p := s.Place(target("/"), "")
	if _, err := s.Lookup(t.Context(), p, h, false); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]struct {
		p  Place
		h  http.Header
		do func()
	}{
		"another target":   {s.Place(target("/other"), ""), h, nil},
		"another extra":    {s.Place(target("/"), "x"), h, nil},
		"a cookie":         {p, header("Accept-Language: de", "Cookie: a=1"), nil},
		"a purge":          {p, h, func() { redistest.NoErrors(t, s.Purge(t.Context(), s.Everything())) }},
		"a refused script": {p, h, nil},
	} {
		a := s.Ahead(t.Context(), p, h, true)
		if name == "a refused script" {
			server.FlushScripts(t)
		}
		sent(t, rdb, a)
		if change.do != nil {
			change.do()
		}
		if f, ok, err := s.Answer(t.Context(), a, change.p, change.h); ok || err != nil {
			t.Errorf("%s: answered with %+v, %v", name, f, err)
		}
		redistest.Eventually(t, patience, func() bool {
			f, err := s.Lookup(t.Context(), p, h, true)
			s.ReleaseUnused(&f)
			return err == nil && f.Lease != ""
		}, "%s: the lease is not released", name)
	}
}

// Nothing is asked ahead for a node that is away, before the script is known, or while an
// invalidation is pending.
func TestNothingAhead(t *testing.T) {
	server := redistest.NewServer(t)
	s := open(t, server.Client(t), settings(t))
	h := header()
	p := s.Place(target("/"), "")
	if _, err := s.Lookup(t.Context(), p, h, false); err != nil {
		t.Fatal(err)
	}
	if s.Ahead(t.Context(), p, h, false) == nil {
		t.Error("nothing is asked ahead of a server that is there")
	}
	server.Kill()
	for range 10 {
		_, _ = s.Find(t.Context(), p, h, false)
	}
	if a := s.Ahead(t.Context(), p, h, false); a != nil {
		t.Error("a server that is away is asked")
	}
}

// A reply that does not come in time is a look-up that failed, and the lease that it may
// have acquired is released.
func TestALateAhead(t *testing.T) {
	s, rdb := alone(t)
	h := header()
	p := s.Place(target("/"), "")
	if _, err := s.Lookup(t.Context(), p, h, false); err != nil {
		t.Fatal(err)
	}
	a := s.Ahead(t.Context(), p, h, true)
	if f, err := s.Late(p, h); err == nil || f.Entry != nil || f.Lease != "" {
		t.Errorf("late: %+v, %v", f, err)
	}
	a.Drop(false) // before the command is executed
	sent(t, rdb, a)
	redistest.Eventually(t, patience, func() bool {
		f, err := s.Lookup(t.Context(), p, h, true)
		s.ReleaseUnused(&f)
		return err == nil && f.Lease != ""
	}, "the lease is not released")
}
