package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/redistest"
)

// Fill takes one round trip for every kind of entry.
func TestAFillIsOneRoundTrip(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	counter := redistest.Count(rdb)
	for name, e := range map[string]*Entry{
		"plain":      entry("x"),
		"by fields":  entry("x", "Vary: X, Y"),
		"languages":  entry("x", "Vary: Accept-Language", "Content-Language: de"),
		"with tags":  tagged(entry("x"), "a", "b"),
		"compressed": entry(strings.Repeat("x", 10<<10), "Content-Type: text/plain"),
	} {
		h := header("X: 1", "Accept-Language: de, en;q=0.5")
		f := acquire(t, s, s.Place(target("/"+name), ""), h)
		if got := spent(counter, func() { redistest.NoErrors(t, s.Fill(t.Context(), f, h, e)) }); got != 1 {
			t.Errorf("%s: %d round trips", name, got)
		}
	}
	if got := s.Counts.Fills.Load(); got != 6 {
		t.Errorf("%d fills are counted, want 6", got)
	}
}

// Every key has a TTL. The log, the names and the index outlive the entry.
func TestEveryKeyOfAFillExpires(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	e := entry("", "Vary: X")
	body := noise(InlineSize + 10)
	f := find(t, s, p, header("X: 1"))
	r := s.Record(t.Context(), &f, nil, nil)
	r.On = true
	r.Write(body, nil)
	if !r.Finish(e) {
		t.Fatal("not kept")
	}
	redistest.NoErrors(t, s.Fill(t.Context(), f, header("X: 1"), e))
	const slack = time.Minute
	for _, key := range keys(t, rdb, s.set.Prefix+":*") {
		switch {
		case key == p.Log, key == p.vary():
			ttl(t, rdb, key, s.set.logTTL()-slack, s.set.logTTL())
		case key == p.index(), strings.HasPrefix(key, p.base+"c:"):
			ttl(t, rdb, key, e.Keep+chunkGrace-slack/2, e.Keep+chunkGrace)
		case strings.HasPrefix(key, p.base+"e:"):
			ttl(t, rdb, key, e.Keep-slack/2, e.Keep)
		default:
			t.Errorf("what is %s?", key)
		}
	}
	if longest := 2*s.set.Rules.MaxTTL + s.set.Rules.Retention; s.set.logTTL() <= longest {
		t.Errorf("a log lives %v, an entry up to %v", s.set.logTTL(), longest)
	}
}

// The index lives as long as the longest-lived entry of its URL.
func TestAShortEntryDoesNotShortenTheIndex(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, header("X: 1"), entry("long", "Vary: X"))
	short := entry("short", "Vary: X")
	short.Fresh, short.Keep = time.Second, 10*time.Second
	put(t, s, p, header("X: 2"), short)
	ttl(t, rdb, p.index(), time.Hour-time.Minute, time.Hour+chunkGrace)
}

func TestAFillEndsItsLeaseAndTheMarks(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	f := acquire(t, s, p, nil)
	marks := []string{p.hitForMissKey("0", plain), p.hitForMissKey("0", withCookie), p.largeKey("0")}
	for _, key := range marks {
		redistest.NoErrors(t, rdb.Set(t.Context(), key, 2, time.Minute).Err())
	}
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, entry("x")))
	for _, key := range append(marks, p.LeaseKey("0")) {
		if exists(t, rdb, key) {
			t.Errorf("%s is still there", key)
		}
	}
}

func TestAFillLeavesTheLeaseOfAnother(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	f := find(t, s, p, nil)
	other := acquire(t, open(t, rdb, s.set), p, nil)
	redistest.NoErrors(t, s.Fill(t.Context(), f, nil, entry("x")))
	if got := rdb.Get(t.Context(), p.LeaseKey("0")).Val(); got != other.Lease {
		t.Errorf("the lease is %q, want %q", got, other.Lease)
	}
}

// Other requests wait for the response, so the client's cancellation does not stop the
// fill.
func TestAFillOutlivesItsClient(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	f := find(t, s, p, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	redistest.NoErrors(t, s.Fill(ctx, f, nil, entry("x")))
	if got := served(t, s, p, nil); got != "x" {
		t.Errorf("got %q", got)
	}
}

// variantsOf are the requests, by X, that still have an entry.
func variantsOf(t *testing.T, s *Store, p Place, n int) (out []int) {
	t.Helper()
	for i := range n {
		if served(t, s, p, header(fmt.Sprint("X: ", i))) != "" {
			out = append(out, i)
		}
	}
	return out
}

func TestOfTooManyVariantsTheOldestGoes(t *testing.T) {
	set := settings(t)
	set.MaxVariants = 3
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	store := func(i int) {
		put(t, s, p, header(fmt.Sprint("X: ", i)), entry("x", "Vary: X"))
	}
	for i := range 3 {
		store(i)
	}
	store(0) // once more: 1 is the oldest now
	store(3)
	if got := variantsOf(t, s, p, 4); fmt.Sprint(got) != "[0 2 3]" || s.Counts.Evicted.Load() != 1 {
		t.Errorf("left %v, evicted %d", got, s.Counts.Evicted.Load())
	}
	store(4)
	store(5)
	if got := variantsOf(t, s, p, 6); fmt.Sprint(got) != "[3 4 5]" || s.Counts.Evicted.Load() != 3 {
		t.Errorf("left %v, evicted %d", got, s.Counts.Evicted.Load())
	}
	if n := rdb.HLen(t.Context(), p.index()).Val(); n != 4 {
		t.Errorf("the index has %d fields, want one for each of 3 variants and the last order", n)
	}
}

// MaxVariants is the bound of a URL, over all targets that WithVaryBy makes of it.
func TestVariantsOfAllTargetsOfAURLAreBounded(t *testing.T) {
	set := settings(t)
	set.MaxVariants = 2
	s := open(t, redistest.Standalone(t).Client(t), set)
	for n := range 4 {
		put(t, s, s.Place(target("/"), fmt.Sprint(n)), nil, entry("x"))
	}
	put(t, s, s.Place(target("/other"), ""), nil, entry("x"))
	left := ""
	for n := range 4 {
		left += served(t, s, s.Place(target("/"), fmt.Sprint(n)), nil) + ";"
	}
	if left != ";;x;x;" || served(t, s, s.Place(target("/other"), ""), nil) == "" {
		t.Errorf("left %s", left)
	}
}

// After the operator has lowered MaxVariants, the next fill evicts down to it.
func TestALowerBoundEvictsAtTheNextFill(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	set := settings(t)
	many := open(t, rdb, set)
	for i := range 5 {
		put(t, many, many.Place(target("/"), ""), header(fmt.Sprint("X: ", i)), entry("x", "Vary: X"))
	}
	set.MaxVariants = 2
	few := open(t, rdb, set)
	p := few.Place(target("/"), "")
	put(t, few, p, header("X: 5"), entry("x", "Vary: X"))
	if got := variantsOf(t, few, p, 6); fmt.Sprint(got) != "[4 5]" || few.Counts.Evicted.Load() != 4 {
		t.Errorf("left %v, evicted %d", got, few.Counts.Evicted.Load())
	}
}

func TestTooManySelectingFieldsAreNotStored(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	fields := func(from, to int) string {
		var names []string
		for i := from; i < to; i++ {
			names = append(names, fmt.Sprintf("X-%d", i))
		}
		return "Vary: " + strings.Join(names, ", ")
	}
	put(t, s, p, nil, entry("8", fields(0, 8)))
	put(t, s, p, nil, entry("16", fields(8, 16)))
	f := find(t, s, p, nil)
	if err := s.Fill(t.Context(), f, nil, entry("17", fields(16, 17))); !errors.Is(err, ErrVary) {
		t.Errorf("17 fields: got %v, want ErrVary", err)
	}
	if got := served(t, s, p, nil); got != "16" {
		t.Errorf("served %q", got)
	}
}

// A response in German is a hit for every client that prefers German, whatever the rest
// of its Accept-Language is.
func TestALanguageIsAHitForEveryClientThatPrefersIt(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	put(t, s, p, header("Accept-Language: de, en;q=0.5"), entry("hallo", "Vary: Accept-Language", "Content-Language: de"))
	put(t, s, p, header("Accept-Language: en"), entry("hello", "Vary: Accept-Language", "Content-Language: en"))
	cold := open(t, rdb, s.set)
	for _, s := range []*Store{s, cold} {
		for line, want := range map[string]string{
			"de": "hallo", "de, fr;q=0.3": "hallo", "de, en;q=0.5": "hallo", "en": "hello", "en, de;q=0.1": "hello", "fr": "", "fr, de;q=0.9": "",
		} {
			if got := served(t, s, p, header("Accept-Language: "+line)); got != want {
				t.Errorf("%s: got %q, want %q", line, got, want)
			}
		}
	}
}

// A response in the second choice of its client is stored twice: for clients with that
// list of languages, and for those who prefer the language of the response.
func TestASecondChoiceIsAHitForThoseWhoPreferIt(t *testing.T) {
	set := settings(t)
	set.MaxVariants = 2
	rdb := redistest.Standalone(t).Client(t)
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	put(t, s, p, header("Accept-Language: fr, de;q=0.8"), entry("hallo", "Vary: Accept-Language", "Content-Language: de"))
	for line, want := range map[string]string{"fr, de;q=0.8": "hallo", "de": "hallo", "de, en;q=0.3": "hallo", "fr": "", "en": ""} {
		if got := served(t, s, p, header("Accept-Language: "+line)); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	if n := rdb.HLen(t.Context(), p.index()).Val(); n != 3 {
		t.Errorf("the index has %d fields, want two variants and the last order", n)
	}
	if n := s.Counts.Evicted.Load(); n != 0 {
		t.Errorf("%d variants are evicted, with two of two", n)
	}
}

// A handler that invents languages cannot fill Redis with their names.
func TestRememberedLanguagesAreBounded(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	for n := range maxLanguages + 5 {
		lang := fmt.Sprintf("x%d", n)
		put(t, s, p, header("Accept-Language: "+lang), entry(lang, "Vary: Accept-Language", "Content-Language: "+lang))
	}
	if n := rdb.SCard(t.Context(), p.vary()).Val(); n != 1+maxLanguages {
		t.Errorf("%d names are kept, want a field and %d languages", n, maxLanguages)
	}
	last := fmt.Sprintf("x%d", maxLanguages+4)
	if got := served(t, s, p, header("Accept-Language: "+last)); got != last {
		t.Errorf("the one above the bound: got %q", got)
	}
}

func TestOnlyWhatShrinksIsCompressed(t *testing.T) {
	set := settings(t)
	set.Compress = true
	s := open(t, redistest.Standalone(t).Client(t), set)
	long := strings.Repeat("all work and no play ", 1000)
	for name, tc := range map[string]struct {
		body, kind string
		want       bool
	}{
		"text":                {long, "text/plain", true},
		"an image":            {long, "image/png", false},
		"what does not":       {string(noise(8 << 10)), "text/plain", false},
		"as short as allowed": {long[:rules.MinCompress], "text/plain", true},
		"too short":           {long[:rules.MinCompress-1], "text/plain", false},
	} {
		p := s.Place(target("/"+name), "")
		put(t, s, p, nil, entry(tc.body, "Content-Type: "+tc.kind))
		f := find(t, s, p, nil)
		if f.Entry == nil || f.Entry.flate != tc.want || (len(f.Entry.Body) < len(tc.body)*4/5) != tc.want {
			t.Errorf("%s: got %+v", name, f.Entry)
		}
		if got := served(t, s, p, nil); got != tc.body {
			t.Errorf("%s: %d bytes come back, want %d", name, len(got), len(tc.body))
		}
	}
	body := bytes.Repeat([]byte("x"), InlineSize+1)
	p := s.Place(target("/pieces"), "")
	record(t, s, p, body, "Content-Type: text/plain")
	if f := find(t, s, p, nil); f.Entry == nil || f.Entry.flate {
		t.Errorf("a body in pieces: got %+v", f.Entry)
	}
	set.Compress = false
	put(t, open(t, s.rdb, set), p, nil, entry(long, "Content-Type: text/plain"))
	if f := find(t, s, p, nil); f.Entry == nil || f.Entry.flate {
		t.Errorf("without compression: got %+v", f.Entry)
	}
}

// The stamp tells two fills of the same response apart.
func TestEachFillHasAnotherStamp(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	seen := map[int64]bool{}
	for range 5 {
		put(t, s, p, nil, entry("x"))
		seen[find(t, s, p, nil).Entry.Stamp] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d stamps of 5 fills", len(seen))
	}
}
