package store

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

func TestAMissHasTheLogAndTheLease(t *testing.T) {
	s, rdb := alone(t)
	f := acquire(t, s, s.Place(target("/"), ""), nil)
	if f.Entry != nil || f.Fresh() || !f.Reachable() || f.Reason != rules.ForwardURI || f.HitForMiss || f.Large {
		t.Errorf("got %+v", f)
	}
	if inc := rdb.HGet(t.Context(), f.Log, "_inc").Val(); inc != f.Inc || f.Seq != 0 {
		t.Errorf("incarnation %q of number %d, want %q of 0", f.Inc, f.Seq, inc)
	}
	if got := rdb.Get(t.Context(), f.LeaseKey(f.Variant)).Val(); got != f.Lease {
		t.Errorf("Redis has the lease %q, want %q", got, f.Lease)
	}
	ttl(t, rdb, f.LeaseKey(f.Variant), time.Second, s.set.LeaseTTL)
	ttl(t, rdb, f.Log, s.set.logTTL()-time.Minute, s.set.logTTL())
}

// The instance that stored an entry and every other find it unchanged.
func TestEveryInstanceFindsAnEntry(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		set := settings(t)
		set.Buckets = 64
		s := open(t, g.Client(t), set)
		p := s.Place(target("/"), "")
		e := tagged(entry("body", "Content-Type: text/plain", "X: 1", "X: 2"), "a", "b")
		e.Age, e.Delta, e.Added, e.Immutable = 3*time.Second, 20*time.Millisecond, []string{"X"}, true
		put(t, s, p, nil, e)
		for _, s := range []*Store{s, open(t, g.Client(t), set)} {
			f := find(t, s, p, nil)
			if f.Entry == nil || !f.Fresh() || f.Soft {
				t.Fatalf("not found: %+v", f)
			}
			if got, want := string(f.Entry.Encode()), string(e.Encode()); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if f.Age() < e.Age || f.Age() > e.Age+patience || f.Left() > e.Fresh {
				t.Errorf("age %v, left %v", f.Age(), f.Left())
			}
		}
	})
}

// A look-up takes one round trip if the names and tags are known or there are none, and
// one more for each of the two that the process has to learn.
func TestRoundTripsOfALookUp(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	s := open(t, rdb, set)
	ready(t, s)
	counter := redistest.Count(rdb)
	other := func() *Store {
		o := open(t, rdb, set)
		ready(t, o)
		return o
	}
	for name, tc := range map[string]struct {
		entry *Entry
		by    *Store
		want  []int // of look-ups one after the other
	}{
		"a miss":                             {nil, s, []int{1, 1}},
		"a hit of its own":                   {entry("x"), s, []int{1, 1}},
		"its own with names and tags":        {tagged(entry("x", "Vary: X"), "t"), s, []int{1, 1}},
		"another's":                          {entry("x"), other(), []int{1, 1}},
		"another's with names":               {entry("x", "Vary: X"), other(), []int{2, 1}},
		"another's with tags":                {tagged(entry("x"), "t"), other(), []int{2, 1}},
		"another's with names and tags":      {tagged(entry("x", "Vary: X"), "t"), other(), []int{3, 1}},
		"tags too long to be remembered":     {tagged(entry("x"), strings.Repeat("t", maxTagBytes+1)), s, []int{2, 2}},
		"tags just short to be remembered":   {tagged(entry("x"), strings.Repeat("t", maxTagBytes)), s, []int{1, 1}},
		"its own with several short tags":    {tagged(entry("x"), "a", "b", "c"), s, []int{1}},
		"another's that is stale, with tags": {stale(tagged(entry("x"), "t")), other(), []int{2, 1}},
	} {
		p := s.Place(target("/"+name), "")
		if tc.entry != nil {
			put(t, s, p, header("X: 1"), tc.entry)
		}
		for n, want := range tc.want {
			var f Found
			got := spent(counter, func() { f = find(t, tc.by, p, header("X: 1")) })
			if got != want || (f.Entry != nil) != (tc.entry != nil) {
				t.Errorf("%s, look-up %d: %d round trips, want %d; %+v", name, n, got, want, f)
			}
		}
	}
}

func stale(e *Entry) *Entry {
	e.Fresh = 0
	return e
}

// A process that knows of a fresh entry does not run the script of a miss, but checks
// now and then whether the log is still of this master.
func TestAHitRunsNoScriptWhileItsLogIsKnown(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	counter := redistest.Count(rdb)
	for name, tc := range map[string]struct {
		checked time.Duration
		want    int
	}{
		"checked just now":    {time.Since(s.begun) + time.Hour, 0},
		"checked before that": {time.Since(s.begun) - checkEvery, 1},
		"never checked":       {0, 1},
	} {
		s.bases[0].checked.Store(int64(tc.checked))
		counter.Reset()
		if got := served(t, s, p, nil); got != "x" || counter.Trips() != 1 {
			t.Fatalf("%s: %q in %d round trips", name, got, counter.Trips())
		}
		if got := counter.Commands()["evalsha"]; got != tc.want {
			t.Errorf("%s: %d scripts, want %d", name, got, tc.want)
		}
	}
}

// After a call that failed the next one checks the log: the master may be another.
func TestALookUpAfterAFailureChecksTheLog(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	f := put(t, s, p, nil, entry("x"))
	s.bases[0].checked.Store(int64(time.Since(s.begun)))
	s.doubtAll()
	if !s.doubtful(&f) {
		t.Error("the log that was checked before the failure is not checked again")
	}
	find(t, s, p, nil)
	if s.bases[0].checked.Load() <= s.doubt.Load() {
		t.Error("the look-up did not check")
	}
}

// Redis is shared: a value that is not an entry of this target is a miss.
func TestWhatIsNoEntryIsAMiss(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	key := p.EntryKey("0")
	good := rdb.Get(t.Context(), key).Val()
	foreign, err := DecodeEntry([]byte(good))
	redistest.NoErrors(t, err)
	foreign.Target = target("/other")
	for name, tc := range map[string]struct {
		value string
		ttl   time.Duration
		want  bool
	}{
		"the entry itself":         {good, time.Minute, true},
		"an entry without TTL":     {good, 0, false},
		"a TTL above what is kept": {good, 2 * time.Hour, false},
		"cut short":                {good[:len(good)-1], time.Minute, false},
		"with more behind":         {good + "x", time.Minute, false},
		"of a later version":       {string(rune(EntryVersion+1)) + good[1:], time.Minute, false},
		"of another target":        {string(foreign.Encode()), time.Minute, false},
		"empty":                    {"", time.Minute, false},
		"text":                     {"hello", time.Minute, false},
	} {
		redistest.NoErrors(t, rdb.Set(t.Context(), key, tc.value, tc.ttl).Err())
		if f := find(t, s, p, nil); (f.Entry != nil) != tc.want {
			t.Errorf("%s: found %v, want %v", name, f.Entry != nil, tc.want)
		}
	}
}

// A key of another type is an error, but not ErrUnavailable.
func TestAKeyOfAnotherTypeIsAnError(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	redistest.NoErrors(t, rdb.LPush(t.Context(), p.EntryKey("0"), "x").Err())
	_, err := s.Find(t.Context(), p, nil, false)
	if err == nil || errors.Is(Wrap("look up", err), unavailable.Err) || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("got %v", err)
	}
}

// The clocks of instances may differ: the age of an entry is by the clock of Redis.
func TestAgeIsByTheClockOfRedis(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t, redistest.WithClock())
	s := open(t, server.Client(t), settings(t))
	p := s.Place(target("/"), "")
	e := entry("x")
	e.Age = 5 * time.Second
	put(t, s, p, nil, e)
	for _, tc := range []struct {
		ahead        time.Duration
		found, fresh bool
	}{{0, true, true}, {30 * time.Second, true, true}, {61 * time.Second, true, false}, {time.Hour, false, false}} {
		server.SetClock(t, tc.ahead)
		f := find(t, s, p, nil)
		if (f.Entry != nil) != tc.found || f.Fresh() != tc.fresh {
			t.Errorf("after %v: found %v, fresh %v", tc.ahead, f.Entry != nil, f.Fresh())
		}
		if f.Entry != nil && (f.Elapsed < tc.ahead || f.Age() != f.Elapsed+5*time.Second) {
			t.Errorf("after %v: elapsed %v, age %v", tc.ahead, f.Elapsed, f.Age())
		}
		if !tc.found && f.Reason != rules.ForwardURI {
			t.Errorf("after %v: a miss by %s", tc.ahead, f.Reason)
		}
	}
}

// Other requests share the look-up, so the client's cancellation does not stop it.
func TestALookUpOutlivesItsClient(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := s.Find(ctx, p, nil, true); err != nil || f.Entry == nil {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestRequestsGetTheVariantOfTheirFields(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	one, two := header("X: 1"), header("X: 2")
	put(t, s, p, one, entry("1", "Vary: X"))
	if f := find(t, s, p, two); f.Entry != nil || f.Reason != rules.ForwardVary {
		t.Errorf("the other variant: got %+v", f)
	}
	put(t, s, p, two, entry("2", "Vary: X"))
	cold := open(t, s.rdb, s.set)
	for _, s := range []*Store{s, cold} {
		for _, h := range []http.Header{one, two} {
			if got := served(t, s, p, h); got != h.Get("X") {
				t.Errorf("X: %s: got %q", h.Get("X"), got)
			}
		}
	}
}

// The fields that select among variants only grow, so that each instance finds what
// others have stored, whatever it knew before.
func TestAnotherInstanceAddsASelectingField(t *testing.T) {
	s, _ := alone(t)
	other := open(t, s.rdb, s.set)
	p := s.Place(target("/"), "")
	h := header("X: 1", "Y: 1")
	put(t, s, p, h, entry("by X", "Vary: X"))
	served(t, other, p, h)
	put(t, other, p, h, entry("by Y", "Vary: Y"))
	f := find(t, s, p, h)
	if f.Entry == nil || string(f.Entry.Body) != "by Y" || strings.Join(f.Names, " ") != "X Y" {
		t.Errorf("got %v by %v", f.Entry, f.Names)
	}
	if got := served(t, s, p, header("X: 1", "Y: 2")); got != "" {
		t.Errorf("another Y: got %q", got)
	}
}

// A look-up that guessed the wrong variant has the lease and the marks of that one. They
// must not be used for the right one.
func TestALeaseOfTheWrongVariantIsReleased(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	h := header("X: 1")
	put(t, s, p, h, entry("x", "Vary: X"))
	cold := open(t, rdb, s.set)
	f, err := cold.Find(t.Context(), p, header("X: 2"), true)
	redistest.NoErrors(t, err)
	if f.Lease != "" || f.Entry != nil {
		t.Errorf("got %+v", f)
	}
	gone(t, rdb, p.LeaseKey("0"), "the lease of the variant that was guessed")

	for mark, key := range map[string]string{"hit-for-miss": p.hitForMissKey("0", plain), "large": p.largeKey("0")} {
		redistest.NoErrors(t, rdb.Set(t.Context(), key, 2, time.Minute).Err())
		if f := find(t, open(t, rdb, s.set), p, header("X: 2")); f.HitForMiss || f.Large {
			t.Errorf("the mark %s of the variant that was guessed counts: %+v", mark, f)
		}
		redistest.NoErrors(t, rdb.Del(t.Context(), key).Err())
	}
}

// A look-up that acquires a lease and finds a fresh entry has no use for the lease.
func TestALeaseIsReleasedWhenTheEntryIsFresh(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	cold := open(t, rdb, s.set) // it does not know that there is an entry
	f, err := cold.Find(t.Context(), p, nil, true)
	if err != nil || f.Lease != "" || !f.Fresh() {
		t.Fatalf("got %+v, %v", f, err)
	}
	gone(t, rdb, p.LeaseKey("0"), "the lease")
}

func TestALookUpIsKeptNearUntilItsURLIsPurged(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	set.NearBytes, set.NearTTL = 1<<20, time.Hour
	s := open(t, rdb, set)
	p, other := s.Place(target("/"), ""), s.Place(target("/other"), "")
	put(t, s, p, nil, tagged(entry("x"), "t"))
	put(t, s, other, nil, entry("x"))
	near := func(p Place) bool { _, ok := s.Near(p, nil); return ok }
	look := func() {
		for _, p := range []Place{p, other} {
			if _, err := s.Lookup(t.Context(), p, nil, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if find(t, s, p, nil); near(p) {
		t.Error("Find keeps what it found near")
	}
	if look(); !near(p) || !near(other) {
		t.Fatal("Lookup does not keep what it found near")
	}
	redistest.NoErrors(t, s.Purge(t.Context(), p.Mark(false)))
	if near(p) || !near(other) {
		t.Error("a purge of a URL: it is near, or another is not")
	}
	if look(); near(p) {
		t.Error("what is purged is near")
	}
	put(t, s, p, nil, tagged(entry("x"), "t"))
	for name, m := range map[string]Mark{
		"softly": p.Mark(true), "by a tag": s.Tagged([]string{"t"}, false), "all": s.Everything(),
	} {
		put(t, s, p, nil, tagged(entry("x"), "t"))
		put(t, s, other, nil, entry("x"))
		if look(); !near(p) {
			t.Fatal("not near")
		}
		if redistest.NoErrors(t, s.Purge(t.Context(), m)); near(p) {
			t.Errorf("purged %s, it is still near", name)
		}
	}
	put(t, s, other, nil, entry("x"))
	if look(); !near(other) {
		t.Fatal("not near")
	}
	put(t, s, other, nil, entry("new"))
	if near(other) {
		t.Error("an entry that was replaced is near")
	}
}

// The URL may be purged between the reply to a look-up and the near tier: the entry must
// not be kept near.
func TestALookUpThatAPurgeOvertakesIsNotKeptNear(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	hook := &after{}
	rdb.AddHook(hook)
	set := settings(t)
	set.NearBytes, set.NearTTL = 1<<20, time.Hour
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	purged := false
	hook.next(func() {
		redistest.NoErrors(t, s.Purge(t.Context(), p.Mark(false)))
		purged = true
	})
	f, err := s.Lookup(t.Context(), p, nil, false)
	if err != nil || !f.Fresh() || !purged {
		t.Fatalf("the look-up came after the purge: %+v, %v", f, err)
	}
	if _, ok := s.Near(p, nil); ok {
		t.Error("what was found before the purge is near after it")
	}
}

func TestFreshnessOfWhatIsFound(t *testing.T) {
	f := Found{Place: Place{base: "b:", Hash: "h"}, Variant: "0", Lease: "token", Elapsed: 20 * time.Second, Entry: entry("")}
	f.Entry.Age = time.Second
	if f.Left() != 40*time.Second || f.Age() != 21*time.Second || !f.Fresh() {
		t.Errorf("left %v, age %v", f.Left(), f.Age())
	}
	if f.Soft = true; f.Left() >= 0 || f.Fresh() {
		t.Errorf("purged softly it has %v left", f.Left())
	}
	if f.Elapsed = time.Hour; f.Left() != -59*time.Minute {
		t.Errorf("a soft purge of what is stale has %v left", f.Left())
	}
	if l := f.Detach(); l.Token != "token" || l.Key != "b:l:h:0" || f.Lease != "" {
		t.Errorf("detached %+v, left %q", l, f.Lease)
	}
	if f.Entry = nil; f.Fresh() {
		t.Error("nothing is fresh")
	}
}
