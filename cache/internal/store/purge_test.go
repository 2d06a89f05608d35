package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/redistest"
)

// purge must succeed.
func purge(t testing.TB, s *Store, m Mark) {
	t.Helper()
	redistest.NoErrors(t, s.Purge(t.Context(), m))
}

// A purge of a URL concerns all that is stored of it, and nothing else.
func TestAPurgeConcernsAllOfAURL(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		s := open(t, g.Client(t), settings(t))
		other := open(t, g.Client(t), s.set)
		p := s.Place(target("/"), "")
		one, two := header("X: 1"), header("X: 2")
		user, https, neighbour := s.Place(target("/"), "user"), s.Place(cachekey.Join("https", "example.com", "/", ""), ""), s.Place(target("/other"), "")
		put(t, s, p, one, entry("x", "Vary: X"))
		put(t, s, p, two, entry("x", "Vary: X"))
		for _, p := range []Place{user, https, neighbour} {
			put(t, s, p, nil, entry("x"))
		}
		purge(t, other, p.Mark(false))
		for name, got := range map[string]string{
			"a variant": served(t, s, p, one), "another": served(t, s, p, two), "of a user": served(t, s, user, nil), "by https": served(t, s, https, nil),
		} {
			if got != "" {
				t.Errorf("%s is served", name)
			}
		}
		if served(t, s, neighbour, nil) != "x" {
			t.Error("another URL is purged")
		}
		if f := find(t, s, p, one); f.Reason != rules.ForwardStale {
			t.Errorf("the reason for the miss is %s", f.Reason)
		}
	})
}

// Tags are in all buckets, and still one round trip.
func TestAPurgeOfTagsConcernsWhatCarriesOne(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		set.Buckets = 16
		rdb := g.Client(t)
		s := open(t, rdb, set)
		purge(t, s, s.Everything()) // it knows the script then
		carries := map[string][]string{"/a": {"a"}, "/b": {"b"}, "/c": {"c"}, "/ab": {"x", "a", "b"}, "/none": nil}
		for path, tags := range carries {
			put(t, s, s.Place(target(path), ""), nil, tagged(entry("x"), tags...))
		}
		counter := redistest.Count(rdb)
		if got := spent(counter, func() { purge(t, s, s.Tagged([]string{"a", "b"}, false)) }); got != 1 {
			t.Errorf("%d round trips", got)
		}
		cold := open(t, rdb, set) // it does not know the tags
		for path, tags := range carries {
			want := ""
			if !strings.Contains(fmt.Sprint(tags), "a") && !strings.Contains(fmt.Sprint(tags), "b") {
				want = "x"
			}
			for _, s := range []*Store{s, cold} {
				if got := served(t, s, s.Place(target(path), ""), nil); got != want {
					t.Errorf("%s with the tags %v: got %q", path, tags, got)
				}
			}
		}
		put(t, s, s.Place(target("/a"), ""), nil, tagged(entry("new"), "a"))
		if got := served(t, cold, s.Place(target("/a"), ""), nil); got != "new" {
			t.Errorf("stored after the purge: got %q", got)
		}
	})
}

func TestAPurgeOfEverythingConcernsEveryBucket(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		set.Buckets = 16
		rdb := g.Client(t)
		s := open(t, rdb, set)
		places := map[string]Place{}
		for n := 0; len(places) < set.Buckets; n++ {
			p := s.Place(target(fmt.Sprint("/", n)), "")
			places[p.Log] = p
		}
		for _, p := range places {
			put(t, s, p, nil, entry("x"))
		}
		purge(t, s, s.Everything())
		for _, p := range places {
			if got := served(t, s, p, nil); got != "" {
				t.Errorf("%s is served", p.Log)
			}
			ttl(t, rdb, p.Log, set.logTTL()-time.Minute, set.logTTL())
		}
	})
}

// A soft purge makes an entry stale at once, whatever its lifetime is.
func TestASoftPurgeMakesStale(t *testing.T) {
	s, rdb := alone(t)
	p, other := s.Place(target("/"), ""), s.Place(target("/other"), "")
	cold := func() *Store { return open(t, rdb, s.set) }
	for name, m := range map[string]Mark{"the URL": p.Mark(true), "a tag": s.Tagged([]string{"t"}, true)} {
		put(t, s, p, nil, tagged(entry("x"), "t"))
		put(t, s, other, nil, tagged(entry("x"), "u"))
		purge(t, s, m)
		for _, s := range []*Store{s, cold()} {
			if f := find(t, s, p, nil); f.Entry == nil || !f.Soft || f.Fresh() {
				t.Errorf("%s: got %+v", name, f)
			}
			if f := find(t, s, other, nil); !f.Fresh() {
				t.Errorf("%s: another is %+v", name, f)
			}
		}
		put(t, s, p, nil, tagged(entry("new"), "t"))
		if f := find(t, s, p, nil); f.Soft || !f.Fresh() {
			t.Errorf("%s, stored again: got %+v", name, f)
		}
	}
	purge(t, s, p.Mark(true))
	purge(t, s, p.Mark(false))
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("a purge after a soft one: got %q", got)
	}
}

func TestAPurgeOfAURLIsOneRoundTrip(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	counter := redistest.Count(rdb)
	p := s.Place(target("/"), "")
	for _, soft := range []bool{false, true} {
		if got := spent(counter, func() { purge(t, s, p.Mark(soft)) }); got != 1 {
			t.Errorf("soft %v: %d round trips", soft, got)
		}
	}
	if got := s.Counts.Purges.Load(); got != 3 { // one by ready
		t.Errorf("%d purges are counted", got)
	}
}

// The generation tells a request whether a purge came while its handler ran. Look-ups
// and fills do not change it.
func TestEachPurgeIsANewGeneration(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	before := s.Generation()
	if put(t, s, p, nil, entry("x")); s.Generation() != before {
		t.Error("a fill is a new generation")
	}
	for name, m := range map[string]Mark{"a URL": p.Mark(false), "softly": p.Mark(true), "a tag": s.Tagged([]string{"t"}, false), "everything": s.Everything()} {
		before := s.Generation()
		if purge(t, s, m); s.Generation() == before {
			t.Errorf("a purge of %s is no new generation", name)
		}
		before = s.Generation()
		if s.Invalidate(t.Context(), m); s.Generation() == before {
			t.Errorf("an invalidation of %s is no new generation", name)
		}
	}
}

// The change behind a purge has happened: the client's cancellation does not stop it.
func TestAPurgeOutlivesItsClient(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	redistest.NoErrors(t, s.Purge(ctx, p.Mark(false)))
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("got %q", got)
	}
}

// A response whose look-up came before the purge may show the state before it: a fill
// after the purge does not count.
func TestAPurgeBetweenLookUpAndFillInvalidatesTheFill(t *testing.T) {
	s, rdb := alone(t)
	other := open(t, rdb, s.set)
	for name, m := range map[string]func(p Place) Mark{
		"of the URL":    func(p Place) Mark { return p.Mark(false) },
		"of a tag":      func(Place) Mark { return s.Tagged([]string{"t"}, false) },
		"of everything": func(Place) Mark { return s.Everything() },
	} {
		p := s.Place(target("/"+name), "")
		f := find(t, s, p, nil)
		purge(t, other, m(p))
		redistest.NoErrors(t, s.Fill(t.Context(), f, nil, tagged(entry("old"), "t")))
		if got := served(t, s, p, nil); got != "" {
			t.Errorf("a purge %s: %q is served", name, got)
		}
		put(t, s, p, nil, tagged(entry("new"), "t"))
		if got := served(t, other, p, nil); got != "new" {
			t.Errorf("after a purge %s: got %q", name, got)
		}
	}
	p := s.Place(target("/softly"), "")
	f := find(t, s, p, nil)
	purge(t, other, p.Mark(true))
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, entry("old")))
	if f := find(t, s, p, nil); f.Entry == nil || !f.Soft {
		t.Errorf("a soft purge: got %+v", f)
	}
}

// Numbers count up: each purge has one above all before, and renews the log.
func TestEachPurgeHasTheNextNumber(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	for want := int64(1); want < 5; want++ {
		purge(t, s, p.Mark(false))
		redistest.NoErrors(t, rdb.Persist(t.Context(), p.Log).Err())
		if f := find(t, s, p, nil); f.Seq != want {
			t.Errorf("number %d, want %d", f.Seq, want)
		}
		if n, err := rdb.HGet(t.Context(), p.Log, "u:"+p.url).Int64(); n != want || err != nil {
			t.Errorf("of the URL: %d, want %d", n, want)
		}
	}
	purge(t, s, p.Mark(false))
	ttl(t, rdb, p.Log, s.set.logTTL()-time.Minute, s.set.logTTL())
}

// A log that grew too long begins again, at its present number, and all before is
// purged: nothing that was purged is served, and what is stored later counts.
func TestALogThatIsTooLongPurgesEverything(t *testing.T) {
	s, rdb := alone(t)
	p, other := s.Place(target("/"), ""), s.Place(target("/other"), "")
	put(t, s, p, nil, entry("x"))
	fields := make([]any, 0, 2*maxLogFields)
	for n := range maxLogFields - 5 { // room for _inc, _of, _seq and the two URLs
		fields = append(fields, fmt.Sprintf("t:%d", n), 1)
	}
	redistest.NoErrors(t, rdb.HSet(t.Context(), p.Log, fields...).Err())
	purge(t, s, other.Mark(false))
	if got := served(t, s, p, nil); got != "x" {
		t.Fatalf("below the bound: got %q", got)
	}
	before := find(t, s, p, nil)
	third, fourth := s.Place(target("/third"), ""), s.Place(target("/fourth"), "")
	purge(t, s, third.Mark(false))
	purge(t, s, fourth.Mark(false))
	if n := rdb.HLen(t.Context(), p.Log).Val(); n > 5 {
		t.Errorf("the log has %d fields", n)
	}
	f := find(t, s, p, nil)
	if f.Entry != nil || f.Inc != before.Inc || f.Seq != before.Seq+2 {
		t.Errorf("got %+v, before %+v", f, before)
	}
	put(t, s, p, nil, entry("new"))
	if got := served(t, s, p, nil); got != "new" {
		t.Errorf("stored in the new log: got %q", got)
	}
}

// An entry whose log is lost may have been purged, so it is a miss.
func TestEntriesDoNotOutliveTheirLog(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	lost := put(t, s, p, nil, entry("x"))
	filling := find(t, s, s.Place(target("/other"), ""), nil)
	for name, known := range map[string]bool{"seen by the script": false, "after the script has checked": true} {
		t.Run(name, func(t *testing.T) {
			put(t, s, p, nil, entry("x"))
			redistest.NoErrors(t, rdb.Del(t.Context(), p.Log).Err())
			if s.bases[0].checked.Store(0); known {
				s.bases[0].checked.Store(int64(time.Hour))
			}
			f := find(t, s, p, nil)
			if f.Entry != nil || !f.Reachable() || f.Inc == lost.Inc || f.Seq != 0 {
				t.Errorf("got %+v", f)
			}
			ttl(t, rdb, p.Log, s.set.logTTL()-time.Minute, s.set.logTTL())
		})
	}
	redistest.NoErrors(t, s.Fill(t.Context(), filling, nil, entry("old")))
	if got := served(t, s, filling.Place, nil); got != "" {
		t.Errorf("what was looked up in the lost log and stored in the new one is served: %q", got)
	}
}

// A replica that became master may lack the last purges: the log begins again, by the
// first purge or look-up.
func TestTheLogOfAnotherMasterBeginsAgain(t *testing.T) {
	s, rdb := alone(t)
	p, other := s.Place(target("/"), ""), s.Place(target("/other"), "")
	for name, first := range map[string]func(){
		"a look-up": func() {},
		"a purge":   func() { purge(t, s, other.Mark(false)) },
	} {
		old := put(t, s, p, nil, entry("x"))
		redistest.NoErrors(t, rdb.HSet(t.Context(), p.Log, "_of", "another").Err())
		s.doubtAll()
		first()
		f := find(t, s, p, nil)
		if f.Entry != nil || f.Inc == old.Inc || f.Inc == "" || f.Seq < old.Seq {
			t.Errorf("%s: got %+v, before %+v", name, f, old)
		}
		put(t, s, p, nil, entry("new"))
		if got := served(t, s, p, nil); got != "new" {
			t.Errorf("%s: stored in the new log: got %q", name, got)
		}
	}
}

// A sequence number above that of the log is from a former master, whose last purges may
// be lost.
func TestAnEntryAboveTheSequenceOfItsLogIsAMiss(t *testing.T) {
	s, rdb := alone(t)
	p, other := s.Place(target("/"), ""), s.Place(target("/other"), "")
	for range 3 {
		purge(t, s, other.Mark(false))
	}
	put(t, s, p, nil, entry("x"))
	for _, tc := range []struct {
		seq  int
		want string
	}{{4, "x"}, {3, "x"}, {2, ""}} {
		redistest.NoErrors(t, rdb.HSet(t.Context(), p.Log, "_seq", tc.seq).Err())
		if got := served(t, s, p, nil); got != tc.want {
			t.Errorf("an entry of number 3 in a log at %d: got %q", tc.seq, got)
		}
	}
}

// Which of the numbers of an entry and its log count, without a server.
func TestWhatPurgesAnEntry(t *testing.T) {
	for name, tc := range map[string]struct {
		a           answer
		entry, log  int64
		found, soft bool
	}{
		"no purge":                     {answer{}, 0, 0, true, false},
		"purges of others":             {answer{}, 3, 9, true, false},
		"stored before the purge":      {answer{purged: 4}, 3, 9, false, false},
		"stored after the purge":       {answer{purged: 4}, 4, 9, true, false},
		"before a soft purge":          {answer{soft: 4}, 3, 9, true, true},
		"after a soft purge":           {answer{soft: 4}, 4, 9, true, false},
		"before both":                  {answer{soft: 4, purged: 5}, 3, 9, false, false},
		"between a hard and a soft":    {answer{soft: 5, purged: 4}, 4, 9, true, true},
		"below the floor":              {answer{floor: 4}, 3, 9, false, false},
		"on the floor":                 {answer{floor: 4}, 4, 9, true, false},
		"above the last of all purges": {answer{}, 10, 9, false, false},
	} {
		a := tc.a
		a.ttl = redis.NewDurationResult(time.Minute, nil)
		f, e := Found{Inc: "inc", Seq: tc.log}, entry("x")
		e.Inc, e.Seq = "inc", tc.entry
		f.accept(e, &a)
		if (f.Entry != nil) != tc.found || f.Soft != tc.soft || !tc.found && f.Reason != rules.ForwardStale {
			t.Errorf("%s: got %+v", name, f)
		}
		f = Found{Inc: "other", Seq: tc.log}
		if f.accept(e, &a); f.Entry != nil || f.Reason != rules.ForwardURI {
			t.Errorf("%s, of another incarnation: got %+v", name, f)
		}
	}
}

// Without the right to run INFO a failover cannot be noticed. One warning says so, and
// everything else works.
func TestAServerThatDoesNotTellItsReplicationID(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	redistest.NoErrors(t, server.Client(t).Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">pass", "~*", "&*", "+@all", "-info").Err())
	opt := server.Options()
	opt.Username, opt.Password = "limited", "pass"
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	set := settings(t)
	var log lines
	set.Logger = log.logger()
	s := open(t, rdb, set)
	for n := range 3 {
		p := s.Place(target(fmt.Sprint("/", n)), "")
		put(t, s, p, nil, entry("x"))
		if got := served(t, s, p, nil); got != "x" {
			t.Errorf("got %q", got)
		}
		if purge(t, s, p.Mark(false)); served(t, s, p, nil) != "" {
			t.Error("a purge is lost")
		}
	}
	if n := log.count("does not tell its replication ID"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

// Purges that replicas must confirm count for this process and Redis in any case.
func TestPurgesAreConfirmedByReplicas(t *testing.T) {
	rdb := redistest.Sentinel(t).Client(t) // with one replica
	for name, tc := range map[string]struct {
		replicas int
		wait     time.Duration
		want     error
	}{
		"none wanted":         {0, 0, nil},
		"one":                 {1, patience, nil},
		"more than there are": {2, 10 * time.Millisecond, ErrUnconfirmed},
	} {
		set := settings(t)
		set.Replicas.N, set.Replicas.Patience = tc.replicas, tc.wait
		s := open(t, rdb, set)
		p := s.Place(target("/"), "")
		put(t, s, p, nil, entry("x"))
		counter := redistest.Count(rdb)
		if err := s.Purge(t.Context(), p.Mark(false)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if got := counter.Commands()["wait"]; got != min(tc.replicas, 1) {
			t.Errorf("%s: WAIT was sent %d times", name, got)
		}
		if got := served(t, s, p, nil); got != "" {
			t.Errorf("%s: %q is served", name, got)
		}
		ttl(t, rdb, p.Log, set.logTTL()-time.Minute, set.logTTL())
	}
}

// opaque is a client of which it is not known where it sends a key.
type opaque struct{ client }

func TestAClientThatHidesItsNodesCannotConfirm(t *testing.T) {
	set := settings(t)
	set.Replicas.N, set.Replicas.Patience = 1, time.Second
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, opaque{rdb}, set)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	if err := s.Purge(t.Context(), p.Mark(false)); !errors.Is(err, ErrUnconfirmed) || !strings.Contains(err.Error(), "does not tell the master") {
		t.Errorf("got %v", err)
	}
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("%q is served", got)
	}
}

// All masters confirm what is written to them.
func TestPurgesOfAClusterAreConfirmedByEachMaster(t *testing.T) {
	rdb := redistest.Cluster(t).Client(t) // without replicas
	set := settings(t)
	set.Buckets = 16
	set.Replicas.N, set.Replicas.Patience = 1, 10*time.Millisecond
	s := open(t, rdb, set)
	err := s.Purge(t.Context(), s.Everything())
	if !errors.Is(err, ErrUnconfirmed) || strings.Count(err.Error(), "0 of 1 replicas") != 3 {
		t.Errorf("got %v, want that of 3 masters", err)
	}
}
