package store

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

func sample(url, hash, variant string, size int) Found {
	return Found{
		Place: Place{Target: "t" + hash, Hash: hash, url: url}, Names: []string{"X"}, Variant: variant,
		Entry: &Entry{Target: "t" + hash, Verdict: rules.Verdict{Lives: rules.Lives{Fresh: time.Minute}}, Body: make([]byte, size)},
	}
}

func always() bool { return true }

// variantOf finds the header that selects a variant, by making the variant of it.
func variantOf(rs *rules.Rules, value string) (http.Header, string) {
	h := http.Header{"X": {value}}
	return h, rs.Variant([]string{"X"}, h)
}

// A purge of a URL drops all its targets and variants and nothing else.
func TestForgetDropsOneURL(t *testing.T) {
	rs := &rules.Rules{}
	n := newNear(1<<20, time.Minute, rs)
	h1, v1 := variantOf(rs, "1")
	h2, v2 := variantOf(rs, "2")
	all := []Found{sample("a", "a1", v1, 10), sample("a", "a1", v2, 10), sample("a", "a2", v1, 10), sample("b", "b1", v1, 10)}
	headers := []http.Header{h1, h2, h1, h1}
	for _, f := range all {
		n.put(f, time.Now(), always)
	}
	has := func() (out [4]bool) {
		for i, f := range all {
			_, out[i] = n.get(f.Place, headers[i])
		}
		return out
	}
	if got := has(); got != [4]bool{true, true, true, true} {
		t.Fatalf("near: %v", got)
	}
	n.forget("a")
	if got := has(); got != [4]bool{false, false, false, true} {
		t.Errorf("after a purge of a: %v", got)
	}
	n.forget("")
	if got := has(); got != [4]bool{} {
		t.Errorf("after a purge of all: %v", got)
	}
}

func TestWhatIsNear(t *testing.T) {
	rs := &rules.Rules{}
	h, v := variantOf(rs, "1")
	for name, tc := range map[string]struct {
		change  func(*Found)
		at      time.Duration // before now
		current func() bool
		want    bool
	}{
		"fresh":                         {func(*Found) {}, 0, always, true},
		"purged while it was looked up": {func(*Found) {}, 0, func() bool { return false }, false},
		"older than the TTL":            {func(*Found) {}, 11 * time.Second, always, false},
		"stale by now":                  {func(f *Found) { f.Elapsed = 59 * time.Second }, 2 * time.Second, always, false},
		"made stale by a soft purge":    {func(f *Found) { f.Soft = true }, 0, always, false},
		"in pieces":                     {func(f *Found) { f.Entry.ID = "x" }, 0, always, false},
		"too large for the budget":      {func(f *Found) { f.Entry.Body = make([]byte, 1<<17) }, 0, always, false},
		"of another target":             {func(f *Found) { f.Target = "other"; f.Entry.Target = "other" }, 0, always, false},
	} {
		n := newNear(1<<20, 10*time.Second, rs)
		f := sample("u", "h", v, 10)
		place := f.Place
		tc.change(&f)
		n.put(f, time.Now().Add(-tc.at), tc.current)
		if got, ok := n.get(place, h); ok != tc.want || ok && got.Elapsed < f.Elapsed {
			t.Errorf("%s: got %v, want %v", name, ok, tc.want)
		}
	}
}

// The selecting fields of a target can change: the variants of before are gone then,
// those of other targets stay.
func TestNearFollowsVary(t *testing.T) {
	rs := &rules.Rules{}
	n := newNear(1<<20, time.Minute, rs)
	h, v := variantOf(rs, "1")
	old, other := sample("u", "h", v, 10), sample("u", "o", v, 10)
	n.put(old, time.Now(), always)
	n.put(other, time.Now(), always)
	changed := sample("u", "h", rs.Variant([]string{"Y"}, h), 10)
	changed.Names = []string{"Y"}
	n.put(changed, time.Now(), always)
	if f, ok := n.get(old.Place, h); !ok || f.Names[0] != "Y" {
		t.Errorf("got %v, %v, want the variant by Y", f.Names, ok)
	}
	if u, _ := n.urls.GetIfPresent("u"); len(u.targets["h"].variants) != 1 || len(u.targets["o"].variants) != 1 {
		t.Errorf("kept: %+v", u)
	}
}

// One URL takes an eighth of the budget at most, and what is too old makes room.
func TestOneURLDoesNotFillTheNearTier(t *testing.T) {
	rs := &rules.Rules{}
	n := newNear(64<<10, time.Minute, rs)
	for i := range 100 {
		n.put(sample("u", fmt.Sprint(i), "0", 1000), time.Now(), always)
		if u, _ := n.urls.GetIfPresent("u"); u.size > 8<<10 || len(u.targets) == 0 {
			t.Fatalf("after %d: %d bytes in %d targets", i, u.size, len(u.targets))
		}
	}
	n = newNear(64<<10, time.Minute, rs)
	for i := range 3 {
		n.put(sample("u", fmt.Sprint(i), "0", 1000), time.Now().Add(-time.Hour), always)
	}
	n.put(sample("u", "new", "0", 1000), time.Now(), always)
	if u, _ := n.urls.GetIfPresent("u"); u.size > 2<<10 {
		t.Errorf("%d bytes for one entry that can be served", u.size)
	}
}

// What was read before a purge is never near after it, whichever comes first.
func TestPutRacesWithForget(t *testing.T) {
	rs := &rules.Rules{}
	n := newNear(1<<20, time.Minute, rs)
	h, v := variantOf(rs, "1")
	f := sample("u", "h", v, 10)
	for range 2000 {
		var gen atomic.Uint64
		begun := gen.Load()
		var wg sync.WaitGroup
		wg.Go(func() { n.put(f, time.Now(), func() bool { return gen.Load() == begun }) })
		wg.Go(func() {
			gen.Add(1)
			n.forget("u")
		})
		wg.Wait()
		if _, ok := n.get(f.Place, h); ok {
			t.Fatal("an entry of before the purge is near")
		}
	}
}
