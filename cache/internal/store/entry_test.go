package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

func FuzzDecode(f *testing.F) {
	e := &Entry{
		Target: "t", Inc: "i", Seq: 3, Status: 200, Age: time.Second,
		Verdict: rules.Verdict{Lives: rules.Lives{Fresh: time.Minute, Keep: time.Hour, Strict: true}, Tags: []string{"x"}},
		Size:    4, Header: http.Header{"A": {"1", "2"}}, Body: []byte("body"),
	}
	f.Add(e.Encode())
	f.Add([]byte{EntryVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeEntry(b)
		if err != nil {
			return
		}
		_, _ = got.Inline() // may fail, must not panic
		again, err := DecodeEntry(got.Encode())
		if err != nil || !reflect.DeepEqual(again.Header, got.Header) || string(again.Body) != string(got.Body) || again.Target != got.Target {
			t.Errorf("not the same again: %+v, %+v, %v", got, again, err)
		}
	})
}

// arbitrary is an entry as one could be stored.
func arbitrary(r *rand.Rand) *Entry {
	text := func() string {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	some := func(most int) (out []string) {
		for range r.IntN(most + 1) {
			out = append(out, text())
		}
		return out
	}
	life := func() time.Duration {
		return time.Duration(r.Int64N(int64(1000 * time.Hour))).Truncate(time.Millisecond)
	}
	e := &Entry{
		Target: text(), Inc: text(), Seq: r.Int64N(1 << 40), Status: 200 + r.IntN(400), Age: life(), Delta: life(),
		Verdict: rules.Verdict{
			Lives: rules.Lives{
				Fresh: life(), StaleWhileRevalidate: life(), StaleIfError: life(), Keep: life(),
				Strict: r.IntN(2) == 0, Implicit: r.IntN(2) == 0,
			},
			Shared: r.IntN(2) == 0, Immutable: r.IntN(2) == 0, Tags: some(5),
		},
		Stamp: r.Int64N(1 << 32), Added: some(3), Header: http.Header{}, Body: []byte{},
	}
	for _, name := range some(10) {
		e.Header[name] = append(some(2), text())
	}
	switch e.Size = r.Int64N(2000); {
	case r.IntN(5) == 0:
		e.Size += InlineSize + 1
		e.ID = "id" + text()
		e.Body = noise(InlineSize)
	default:
		e.Body = noise(int(e.Size))
	}
	return e
}

func TestEveryEntryComesBackAsItWas(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 300 {
		e := arbitrary(r)
		b := e.Encode()
		got, err := DecodeEntry(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("%d: got %+v, %v, want %+v", n, got, err, e)
		}
		if !bytes.Equal(got.Encode(), b) || !bytes.Equal(e.Encode(), b) {
			t.Fatalf("%d: not the same bytes again", n)
		}
		head, err := DecodeHead(b[:len(b)-len(e.Body)])
		if got.Body = nil; err != nil || !reflect.DeepEqual(head, got) {
			t.Fatalf("%d: the head alone: got %+v, %v", n, head, err)
		}
	}
}

// An entry that is cut short, at any byte, does not decode, nor does one with a byte
// behind it.
func TestAPartOfAnEntryIsNone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		e := arbitrary(r)
		b := e.Encode()
		for n := range b {
			if n > 2000 && n < len(b)-100 {
				continue // in the middle of a large body
			}
			if got, err := DecodeEntry(b[:n]); err == nil {
				t.Fatalf("%d of %d bytes: got %+v", n, len(b), got)
			}
		}
		for n := range len(b) - len(e.Body) - len(binary.AppendUvarint(nil, uint64(len(e.Body)))) {
			if got, err := DecodeHead(b[:n]); err == nil {
				t.Fatalf("%d of %d bytes of the head: got %+v", n, len(b), got)
			}
		}
		if _, err := DecodeEntry(append(b, 0)); err == nil {
			t.Fatal("with a byte behind: no error")
		}
	}
}

// During a deploy instances of two versions share Redis.
func TestAnotherVersionIsNoEntry(t *testing.T) {
	b := entry("x").Encode()
	for version := range 256 {
		b[0] = byte(version)
		_, err := DecodeEntry(b)
		_, headErr := DecodeHead(b)
		if ok := err == nil && headErr == nil; ok != (version == EntryVersion) {
			t.Errorf("version %d: got %v, %v", version, err, headErr)
		}
	}
}

// Values that this package never writes are refused, although they can be decoded.
func TestAnEntryThatCannotBeIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(e *Entry)
		want   bool
	}{
		"as it is":                        {func(*Entry) {}, true},
		"a status below 200":              {func(e *Entry) { e.Status = 199 }, false},
		"a status above 999":              {func(e *Entry) { e.Status = 1000 }, false},
		"the status 999":                  {func(e *Entry) { e.Status = 999 }, true},
		"as many tags as allowed":         {func(e *Entry) { e.Tags = make([]string, rules.MaxTags) }, true},
		"more tags":                       {func(e *Entry) { e.Tags = make([]string, rules.MaxTags+1) }, false},
		"a lifetime of a century":         {func(e *Entry) { e.Fresh = 100 * 365 * 24 * time.Hour }, true},
		"a longer one":                    {func(e *Entry) { e.Fresh = 101 * 365 * 24 * time.Hour }, false},
		"a negative one":                  {func(e *Entry) { e.Keep = -time.Second }, false},
		"a body shorter than its size":    {func(e *Entry) { e.Size++ }, false},
		"a body longer than its size":     {func(e *Entry) { e.Size-- }, false},
		"pieces of a small body":          {func(e *Entry) { e.ID = "id" }, false},
		"a large body without pieces":     {func(e *Entry) { e.Body, e.Size = make([]byte, InlineSize), InlineSize+1 }, false},
		"a large body with pieces":        {func(e *Entry) { e.Body, e.Size, e.ID = make([]byte, InlineSize), InlineSize+1, "id" }, true},
		"an endless body":                 {func(e *Entry) { e.Body, e.Size, e.ID = make([]byte, InlineSize), 1<<40, "id" }, false},
		"more inline than is kept inline": {func(e *Entry) { e.Body, e.Size, e.ID = make([]byte, InlineSize+1), InlineSize+1, "id" }, false},
		"a compressed body of any length": {func(e *Entry) { e.flate, e.Size = true, 1000 }, true},
		"a compressed one in pieces":      {func(e *Entry) { e.flate, e.ID = true, "id" }, false},
		"a large one that is compressed":  {func(e *Entry) { e.flate, e.Size = true, InlineSize+1 }, false},
	} {
		e := entry("body", "A: b")
		tc.change(e)
		if _, err := DecodeEntry(e.Encode()); (err == nil) != tc.want {
			t.Errorf("%s: got %v, want an entry: %v", name, err, tc.want)
		}
	}
}

// Counts in an entry are checked against its length before memory is allocated.
func TestCountsBeyondTheEntryAreRefused(t *testing.T) {
	e := &Entry{Status: 200, Header: http.Header{}}
	b := e.Encode() // its last bytes are the numbers of tags, added fields, fields and the length of the body
	for n, what := range []string{"body", "fields", "added fields", "tags"} {
		for _, count := range []uint64{1, 100, 1 << 40, 1<<63 + 1} {
			at := len(b) - 1 - n
			wrong := append(binary.AppendUvarint(append([]byte(nil), b[:at]...), count), b[at+1:]...)
			if got, err := DecodeEntry(wrong); err == nil {
				t.Errorf("%d %s: got %+v", count, what, got)
			}
		}
	}
}

func TestFlagsAreKeptApart(t *testing.T) {
	var e Entry
	for i, flag := range e.flags() {
		*flag = true
		if got := e.packFlags(); got != 1<<i {
			t.Errorf("flag %d: got %b", i, got)
		}
		var back Entry
		back.unpackFlags(1 << i)
		if back.packFlags() != 1<<i || !reflect.DeepEqual(back, e) {
			t.Errorf("flag %d: got %+v, want %+v", i, back, e)
		}
		*flag = false
	}
}

// A body is compressed if that saves a fifth; Inline returns the original.
func TestShrink(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want bool
	}{
		"text":            {strings.Repeat("words and words ", 500), true},
		"noise":           {string(noise(5000)), false},
		"mostly noise":    {string(noise(5000)) + strings.Repeat("x", 1000), false},
		"a third is text": {string(noise(4000)) + strings.Repeat("x", 2000), true},
		"nothing":         {"", false},
	} {
		e := entry(tc.body)
		e.shrink()
		got, err := e.Inline()
		if err != nil || string(got) != tc.body || e.flate != tc.want || e.Size != int64(len(tc.body)) {
			t.Errorf("%s: compressed %v, %d bytes come back, %v", name, e.flate, len(got), err)
		}
		if e.flate && len(e.Body) > len(tc.body)*4/5 {
			t.Errorf("%s: %d bytes of %d", name, len(e.Body), len(tc.body))
		}
	}
}

// A damaged compressed body is an error. Inline decompresses no more than the size
// in the entry.
func TestADamagedCompressedBodyIsAnError(t *testing.T) {
	for name, damage := range map[string]func(e *Entry){
		"cut short":        func(e *Entry) { e.Body = e.Body[:len(e.Body)/2] },
		"no stream":        func(e *Entry) { e.Body = []byte("hello") },
		"empty":            func(e *Entry) { e.Body = nil },
		"a size too small": func(e *Entry) { e.Size-- },
		"a size too large": func(e *Entry) { e.Size++ },
	} {
		e := entry(strings.Repeat("words and words ", 500))
		if e.shrink(); !e.flate {
			t.Fatal("not compressed")
		}
		damage(e)
		if b, err := e.Inline(); err == nil {
			t.Errorf("%s: got %d bytes", name, len(b))
		}
	}
}

func TestHowManyPiecesABodyHas(t *testing.T) {
	for size, want := range map[int64]int{
		0: 0, InlineSize: 0, InlineSize + 1: 1, InlineSize + chunkSize: 1, InlineSize + chunkSize + 1: 2, InlineSize + 7*chunkSize: 7,
	} {
		if got := (&Entry{Size: size}).chunks(); got != want {
			t.Errorf("%s: got %d, want %d", fmt.Sprint(size, " bytes"), got, want)
		}
	}
}
