package store

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Each script is loaded once, by the server that its first call goes to: that makes the
// hash too.
func TestAScriptIsLoadedOnce(t *testing.T) {
	s, rdb := alone(t)
	counter := redistest.Count(rdb)
	all := map[string]*redis.Script{purgeSource: s.purge, lookSource: s.lookScript, fillSource: s.fillScript, releaseSource: s.endScript}
	ready(t, s)
	for n := range 2 {
		f := put(t, s, s.Place(target(fmt.Sprint("/", n)), ""), nil, entry("x"))
		s.MarkHitForMiss(t.Context(), &f, plain, time.Minute)
		purge(t, s, f.Mark(false))
		purge(t, s, s.Everything())
	}
	for source, script := range all {
		if sum := sha1.Sum([]byte(source)); script.Hash() != hex.EncodeToString(sum[:]) {
			t.Errorf("%.20s: the hash is %q", source, script.Hash())
		}
	}
	if got := counter.Commands(); got["script"] != len(all) || got["eval"] != 0 {
		t.Errorf("%d scripts take %d times SCRIPT LOAD and %d times EVAL", len(all), got["script"], got["eval"])
	}
}

// A purge of several buckets sends the script itself once, and then its hash.
func TestAPurgeOfAllBucketsLearnsItsScript(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	set.Buckets = 4
	s := open(t, rdb, set)
	counter := redistest.Count(rdb)
	for n, want := range []map[string]int{{"eval": 4, "evalsha": 0}, {"eval": 0, "evalsha": 4}} {
		counter.Reset()
		purge(t, s, s.Everything())
		if got := counter.Commands(); got["eval"] != want["eval"] || got["evalsha"] != want["evalsha"] {
			t.Errorf("purge %d: got %v, want %v", n, got, want)
		}
	}
}

// A restarted or promoted server knows no script.
func TestAServerThatForgotTheScripts(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	set := settings(t)
	set.Buckets = 4
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	ready(t, s)
	purge(t, s, s.Everything())
	var f Found
	counter := redistest.Count(rdb)
	for _, step := range []struct {
		name  string
		do    func()
		trips int // -1: of no matter
	}{
		{"a look-up", func() { f = acquire(t, s, p, nil) }, 3},
		{"a fill", func() { redistest.NoErrors(t, s.Fill(t.Context(), f, nil, entry("x"))) }, 3},
		{"a hit", func() {
			if got := served(t, s, p, nil); got != "x" {
				t.Errorf("got %q", got)
			}
		}, -1},
		{"a mark", func() {
			other := find(t, s, s.Place(target("/other"), ""), nil)
			server.FlushScripts(t)
			for n, want := range []bool{false, true} {
				if got := s.MarkHitForMiss(t.Context(), &other, plain, time.Minute); got != want {
					t.Errorf("mark %d: got %v", n, got)
				}
			}
		}, -1},
		{"a release", func() {
			held := acquire(t, s, s.Place(target("/held"), ""), nil)
			server.FlushScripts(t)
			s.ReleaseUnused(&held)
			gone(t, rdb, held.LeaseKey("0"), "the lease")
		}, -1},
		{"a purge", func() { purge(t, s, p.Mark(true)) }, 3},
		{"a purge of all buckets", func() { purge(t, s, s.Everything()) }, 2},
	} {
		server.FlushScripts(t)
		if got := spent(counter, step.do); got != step.trips && step.trips >= 0 {
			t.Errorf("%s: %d round trips, want %d", step.name, got, step.trips)
		}
	}
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("purged, %q is served", got)
	}
}

// One node of a cluster may have lost the scripts, which costs a purge one more round trip.
func TestOneNodeOfAClusterForgotTheScripts(t *testing.T) {
	t.Parallel()
	servers := redistest.NewCluster(t, 0)
	rdb := servers.Target().Client(t)
	set := settings(t)
	set.Buckets = 16
	s := open(t, rdb, set)
	purge(t, s, s.Everything())
	places := map[string]Place{}
	for n := 0; len(places) < set.Buckets; n++ {
		p := s.Place(target(fmt.Sprint("/", n)), "")
		places[p.Log] = p
	}
	for _, p := range places {
		put(t, s, p, nil, tagged(entry("x"), "t"))
	}
	servers.MasterOf(t, s.bases[0].log).FlushScripts(t)
	counter := redistest.Count(rdb)
	if got := spent(counter, func() { purge(t, s, s.Tagged([]string{"t"}, false)) }); got != 2 {
		t.Errorf("%d round trips, want one more for the node that forgot", got)
	}
	for log, p := range places {
		if got := served(t, s, p, nil); got != "" {
			t.Errorf("%s: %q is served", log, got)
		}
		var seq *redis.StringCmd
		if seq = rdb.HGet(t.Context(), log, "_seq"); seq.Val() != "2" {
			t.Errorf("%s: at number %s, want each purge once", log, seq.Val())
		}
	}
}

// A restarted server is empty: the log begins again, and no entry of before counts,
// although this process remembers it.
func TestAServerThatIsRestarted(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t)
	s := open(t, server.Client(t), settings(t))
	p := s.Place(target("/"), "")
	old := put(t, s, p, nil, tagged(entry("x", "Vary: X"), "t"))
	server.Restart(t)
	redistest.Eventually(t, patience, func() bool { _, err := s.Find(t.Context(), p, nil, false); return err == nil }, "it is not back")
	if f := find(t, s, p, nil); f.Entry != nil || f.Inc == old.Inc || len(f.Names) != 0 {
		t.Errorf("got %+v", f)
	}
	redistest.NoErrors(t, s.Fill(t.Context(), old, nil, entry("old")))
	if got := served(t, s, p, nil); got != "" {
		t.Errorf("what was looked up before the restart is served: %q", got)
	}
	put(t, s, p, nil, entry("new"))
	if got := served(t, s, p, nil); got != "new" {
		t.Errorf("got %q", got)
	}
}

// An error of a script is not an outage: it does not open the breaker.
func TestAScriptThatFailsIsNoOutage(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	redistest.NoErrors(t, rdb.Set(t.Context(), p.Log, "a string", 0).Err())
	for n := range 7 { // more than open the breaker
		if _, err := s.Find(t.Context(), p, nil, true); err == nil || !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Errorf("look-up %d: got %v", n, err)
		}
		if err := s.Purge(t.Context(), p.Mark(false)); err == nil || !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Errorf("purge %d: got %v", n, err)
		}
	}
	redistest.NoErrors(t, rdb.Del(t.Context(), p.Log).Err())
	put(t, s, p, nil, entry("x"))
	if got := served(t, s, p, nil); got != "x" {
		t.Errorf("got %q", got)
	}
}
