package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// pendingIn is how many logs have marks to be written.
func pendingIn(s *Store) int {
	n := 0
	for _, log := range s.logs() {
		if s.pending.has(log) {
			n++
		}
	}
	return n
}

func TestAnInvalidationIsWrittenAtOnce(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	counter := redistest.Count(rdb)
	if got := spent(counter, func() { s.Invalidate(t.Context(), p.Mark(false)) }); got != 1 || pendingIn(s) != 0 {
		t.Errorf("%d round trips, %d pending", got, pendingIn(s))
	}
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("got %q", got)
	}
}

// Until Redis has the invalidation, this instance serves nothing from the bucket and
// retries.
func TestAnInvalidationWaitsForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	set := settings(t)
	set.NearBytes, set.NearTTL = 1<<20, time.Hour
	var seen failures
	set.Failed = seen.add
	s := open(t, clientOf(t, proxy), set)
	other := open(t, server.Client(t), set)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	if _, err := s.Lookup(t.Context(), p, nil, false); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse()
	s.Invalidate(t.Context(), p.Mark(false))
	if errs := seen.all(); len(errs) != 1 || !errors.Is(errs[0], unavailable.Err) {
		t.Errorf("failed with %v", errs)
	}
	if _, ok := s.Near(p, nil); ok || pendingIn(s) != 1 {
		t.Errorf("near: %v, pending: %d", ok, pendingIn(s))
	}
	f, err := s.Lookup(t.Context(), p, nil, true)
	if !errors.Is(err, errPending) || !errors.Is(err, unavailable.Err) || f.Entry != nil || f.Variant != "0" || f.Target != p.Target {
		t.Errorf("a look-up: got %+v, %v", f, err)
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { return served(t, other, p, nil) == "" }, "the invalidation is not written")
	redistest.Eventually(t, patience, func() bool { _, err := s.Lookup(t.Context(), p, nil, false); return err == nil }, "nothing is looked up")
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("got %q", got)
	}
	redistest.Eventually(t, patience, func() bool {
		s.pending.mu.Lock()
		defer s.pending.mu.Unlock()
		return !s.pending.running
	}, "the retry does not end")
}

// Invalidate runs in the request: it sends nothing to a Redis that is known to be down.
func TestAnInvalidationDoesNotWaitForARedisThatIsDown(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	rdb := clientOf(t, proxy)
	var seen failures
	set := settings(t)
	set.NearBytes, set.NearTTL, set.Failed = 1<<20, time.Hour, seen.add
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	if _, err := s.Lookup(t.Context(), p, nil, false); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse()
	for range 10 {
		_, _ = s.Find(t.Context(), p, nil, false)
	}
	counter := redistest.Count(rdb)
	s.Invalidate(t.Context(), p.Mark(false))
	if errs := seen.all(); counter.Trips() != 0 || len(errs) != 1 || !errors.Is(errs[0], unavailable.Err) || pendingIn(s) != 1 {
		t.Errorf("%d round trips, failed with %v, %d pending", counter.Trips(), errs, pendingIn(s))
	}
	if _, ok := s.Near(p, nil); ok {
		t.Error("what is invalidated is near")
	}
	proxy.Heal()
}

// An invalidation that replicas have not confirmed is written: there is nothing to retry.
func TestAnUnconfirmedInvalidationIsNotPending(t *testing.T) {
	set := settings(t)
	set.Replicas.N, set.Replicas.Patience = 1, 10*time.Millisecond
	var seen failures
	set.Failed = seen.add
	s := open(t, redistest.Standalone(t).Client(t), set)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	s.Invalidate(t.Context(), p.Mark(false))
	if errs := seen.all(); len(errs) != 1 || !errors.Is(errs[0], ErrUnconfirmed) || pendingIn(s) != 0 {
		t.Errorf("failed with %v, %d pending", errs, pendingIn(s))
	}
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("got %q", got)
	}
}

// While one node of a cluster is away, the buckets of the other nodes are invalidated and
// served.
func TestOneNodeOfAClusterIsAway(t *testing.T) {
	t.Parallel()
	servers := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	rdb := servers.Target().Client(t)
	set := settings(t)
	set.Buckets, set.ReadTimeout, set.WriteTimeout = 16, 500*time.Millisecond, 500*time.Millisecond
	s := open(t, rdb, set)
	places := map[string]Place{}
	for n := 0; len(places) < set.Buckets; n++ {
		p := s.Place(target(fmt.Sprint("/", n)), "")
		places[p.Log] = p
	}
	for _, p := range places {
		redistest.Eventually(t, patience, func() bool {
			f, err := s.Find(t.Context(), p, nil, false)
			return err == nil && s.Fill(t.Context(), f, nil, tagged(entry("x"), "t")) == nil
		}, "nothing can be stored")
	}
	away := servers.MasterOf(t, s.bases[0].log)
	on := map[string]bool{}
	for log := range places {
		on[log] = servers.MasterOf(t, log) == away
	}
	away.Pause()
	defer away.Resume()
	s.Invalidate(t.Context(), s.Tagged([]string{"t"}, false))
	for log, p := range places {
		if s.pending.has(log) != on[log] {
			t.Errorf("%s: pending %v, on the node that is away: %v", log, s.pending.has(log), on[log])
		}
		f, err := s.Lookup(t.Context(), p, nil, false)
		if on[log] != errors.Is(err, unavailable.Err) || f.Entry != nil {
			t.Errorf("%s: got %+v, %v", log, f.Entry, err)
		}
	}
	if err := s.Purge(t.Context(), s.Everything()); !errors.Is(Wrap("purge", err), unavailable.Err) {
		t.Errorf("a purge of everything: got %v", err)
	}
	away.Resume()
	redistest.Eventually(t, patience, func() bool { return pendingIn(s) == 0 }, "%d logs are pending", pendingIn(s))
	for log, p := range places {
		redistest.Eventually(t, patience, func() bool {
			f, err := s.Lookup(t.Context(), p, nil, false)
			if f.Entry != nil {
				t.Fatalf("%s: an entry of before is served", log)
			}
			return err == nil
		}, "%s is not looked up", log)
	}
}

// Close does not wait for a Redis that is away.
func TestCloseEndsTheRetries(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	redistest.NoLeaks(t)
	rdb := clientOf(t, proxy)
	s := New(rdb, settings(t))
	proxy.Refuse()
	p := s.Place(target("/"), "")
	s.Invalidate(t.Context(), p.Mark(false))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	redistest.NoErrors(t, s.Close(ctx))
	if pendingIn(s) != 1 {
		t.Error("what could not be written is forgotten: the buckets would be served")
	}
	_ = rdb.Close()
}

// Marks of one log: each is kept once, and with too many of them everything is marked.
func TestPendingMarks(t *testing.T) {
	var p pending
	logs := []string{"a", "b"}
	of := func(log string) string {
		fields, _ := p.of(log)
		return fmt.Sprint(len(fields), fields[:min(len(fields), 3)])
	}
	p.add(logs, []string{"u:1", "t:1"})
	p.add(logs[:1], []string{"u:1", "t:2"})
	if of("a") != "3 [t:1 t:2 u:1]" || of("b") != "2 [t:1 u:1]" || p.has("c") || fmt.Sprint(p.logs()) != "[a b]" {
		t.Errorf("a has %s, b has %s of %v", of("a"), of("b"), p.logs())
	}
	_, last := p.of("a")
	p.written("a", last)
	if p.has("a") || !p.has("b") || !p.any() || fmt.Sprint(p.logs()) != "[b]" {
		t.Errorf("a is written, left: %v", p.logs())
	}
	p.written("b", last)
	if p.any() || len(p.logs()) != 0 {
		t.Errorf("all is written, left: %v", p.logs())
	}
	var many []string
	for n := range maxPending {
		many = append(many, fmt.Sprint("t:", n))
	}
	p.add(logs, many)
	p.add(logs[:1], []string{"u:1"})
	if a, _ := p.of("a"); len(a) != 0 || !p.has("a") {
		t.Errorf("with one too many %d are marked, want everything", len(a))
	}
	if b, _ := p.of("b"); len(b) != maxPending {
		t.Errorf("%d of %d are marked", len(b), maxPending)
	}
}

// An invalidation that fails while an earlier one is being written follows a later
// change: it is still to be written.
func TestAnInvalidationWhileOneIsWrittenStaysPending(t *testing.T) {
	for name, tc := range map[string]struct{ first, second []string }{
		"the same URL":           {[]string{"u:1"}, []string{"u:1"}},
		"another":                {[]string{"u:1"}, []string{"u:2"}},
		"a URL after everything": {nil, []string{"u:1"}},
		"everything after a URL": {[]string{"u:1"}, nil},
		"everything twice":       {nil, nil},
	} {
		var p pending
		p.add([]string{"log"}, tc.first)
		_, last := p.of("log")
		p.add([]string{"log"}, tc.second)
		p.written("log", last)
		if got, _ := p.of("log"); fmt.Sprint(got) != fmt.Sprint(tc.second) || !p.has("log") || !p.any() {
			t.Errorf("%s: left %v, want %v", name, got, tc.second)
		}
	}
}

// With too many marks to remember everything of the bucket is invalidated.
func TestTooManyPendingInvalidationsAreOfEverything(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	s := open(t, clientOf(t, proxy), settings(t))
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	var tags []string
	for n := range maxPending + 1 {
		tags = append(tags, fmt.Sprint(n))
	}
	proxy.Refuse()
	s.Invalidate(t.Context(), s.Tagged(tags, false))
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { return pendingIn(s) == 0 }, "it is not written")
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("%q, which carries none of the tags, is served", got)
	}
}
