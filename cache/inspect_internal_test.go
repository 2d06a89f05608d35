package cache

import (
	"bytes"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

func sampleEntry() *store.Entry {
	return &store.Entry{
		Target: cachekey.Join(cachekey.Join("https", "shop.example", "/a", "?b=c"), "extra"), Inc: "i", Seq: 3, Status: 200, Age: time.Second,
		Verdict: rules.Verdict{
			Lives: rules.Lives{Fresh: time.Minute, StaleWhileRevalidate: time.Second, StaleIfError: 2 * time.Second, Keep: time.Hour},
			Tags:  []string{"x", "y"},
		},
		Added: []string{"Link"}, Size: 4,
		Header: http.Header{"A": {"1", "2"}}, Body: []byte("body"),
	}
}

// FuzzDecodeEntry: whatever stands in Redis, operators see it or an error, and
// of what the cache itself can read they see the same, from what stands before
// the body alone.
func FuzzDecodeEntry(f *testing.F) {
	full := sampleEntry().Encode()
	f.Add(full)
	f.Add((&store.Entry{Target: "no URL", Status: 404, Header: http.Header{}}).Encode())
	for i := range full {
		f.Add(full[:i])
	}
	f.Add(append([]byte{store.EntryVersion}, bytes.Repeat([]byte{0xff}, 30)...))
	f.Add(append([]byte{store.EntryVersion}, bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 8)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeEntry(b)
		if err == nil {
			got.Purged(make([]any, len(got.PurgeFields())))
			got.Purged(nil)
		}
		e, bad := store.DecodeEntry(b)
		if bad != nil {
			return
		}
		head, headErr := DecodeEntry(b[:len(b)-len(e.Body)])
		if err != nil || headErr != nil || !reflect.DeepEqual(head, got) {
			t.Fatalf("of %q all is %+v, %v and its head %+v, %v", b, got, err, head, headErr)
		}
		if got.Status != e.Status || got.Size != e.Size || !reflect.DeepEqual(got.Header, e.Header) || !slices.Equal(got.Tags, e.Tags) ||
			got.Age != e.Age || got.Fresh != e.Fresh || got.Keep != e.Keep || got.seq != e.Seq || got.inc != e.Inc {
			t.Errorf("of %q the cache reads %+v, operators %+v", b, e, got)
		}
	})
}

func TestDecodeEntry(t *testing.T) {
	e, err := DecodeEntry(sampleEntry().Encode())
	if err != nil {
		t.Fatal(err)
	}
	if e.URL != "https://shop.example/a?b=c" || e.Extra != "extra" || e.Status != 200 || e.Size != 4 || e.Stale != 2*time.Second || e.Keep != time.Hour {
		t.Errorf("got %+v", e)
	}
	if want := []string{"_inc", "_floor", "u:" + cachekey.PurgeID(cachekey.Join("https", "shop.example", "/a", "?b=c")), "t:" + cachekey.Digest("x"), "t:" + cachekey.Digest("y")}; !slices.Equal(e.PurgeFields()[:5], want) {
		t.Errorf("got %q, want %q", e.PurgeFields(), want)
	}
	const n = 8 // _inc, _floor, u, t, t, su, st, st
	if len(e.PurgeFields()) != n {
		t.Fatalf("got %q", e.PurgeFields())
	}
	for name, tc := range map[string]struct {
		at         int
		value      string
		void, soft bool
	}{
		"nothing":            {0, "i", false, false},
		"another log":        {0, "j", true, false},
		"all of it":          {1, "4", true, false},
		"its URL":            {2, "4", true, false},
		"a tag":              {4, "4", true, false},
		"its URL, before":    {2, "3", false, false},
		"its URL, softly":    {5, "4", false, true},
		"a tag, softly":      {7, "4", false, true},
		"a tag, long before": {7, "1", false, false},
	} {
		values := make([]any, n)
		values[0] = "i"
		values[tc.at] = tc.value
		if void, soft := e.Purged(values); void != tc.void || soft != tc.soft {
			t.Errorf("%s: void %v, stale %v", name, void, soft)
		}
	}
	if void, soft := e.Purged([]any{"another"}); void || soft {
		t.Error("a reply of another length counts")
	}
}
