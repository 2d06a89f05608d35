package session_test

import (
	"bytes"
	"encoding/gob"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/session"
)

type own struct{ A, B int }

func TestCodec(t *testing.T) {
	gob.Register(own{})
	gob.Register(map[string]string{})
	deadline := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
	values := map[string]any{
		"s": "text\x00\xff", "empty": "", "b": []byte{0, 1, 2}, "none": []byte{}, "yes": true, "no": false, "i": -42, "i32": int32(math.MinInt32), "i64": int64(math.MaxInt64),
		"f": math.Inf(-1), "t": time.Date(2020, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600)), "own": own{1, 2}, "map": map[string]string{"a": "b"}, "u": uint8(7), "": "the empty key",
	}
	b, err := session.Codec{}.Encode(deadline, values)
	if err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string][]byte{"ours": b, "scs' gob": gobOf(t, deadline, values)} {
		at, got, err := session.Codec{}.Decode(bytes)
		if err != nil || !at.Equal(deadline) || len(got) != len(values) {
			t.Fatalf("%s: %v, %v, %v", name, at, got, err)
		}
		for key, want := range values {
			if w, ok := want.(time.Time); ok {
				if g, ok := got[key].(time.Time); !ok || !g.Equal(w) {
					t.Errorf("%s: %s: got %v, want %v", name, key, got[key], w)
				}
				continue
			}
			if !reflect.DeepEqual(got[key], want) && !(name == "scs' gob" && key == "none") { // gob makes nil of it
				t.Errorf("%s: %s: got %#v, want %#v", name, key, got[key], want)
			}
		}
	}
	again, _ := session.Codec{}.Encode(deadline, values)
	if !bytes.Equal(b, again) {
		t.Error("equal sessions are not equal bytes")
	}
	for n := range len(b) {
		if _, _, err := (session.Codec{}).Decode(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(b))
		}
	}
	if _, err := (session.Codec{}).Encode(deadline, map[string]any{"c": make(chan int)}); err == nil {
		t.Error("a channel is encoded")
	}
}

func gobOf(t *testing.T, deadline time.Time, values map[string]any) []byte {
	t.Helper()
	gob.Register(time.Time{})
	b, err := scs.GobCodec{}.Encode(deadline, values)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzCodec: what comes from Redis may be anything; no panic, and what is
// accepted survives another turn.
func FuzzCodec(f *testing.F) {
	b, _ := session.Codec{}.Encode(time.Unix(1, 2), map[string]any{"a": "b", "n": 1, "t": time.Unix(3, 4), "f": 1.5, "b": []byte("x"), "g": uint8(1)})
	f.Add(b)
	f.Add([]byte("\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(b, []byte("\x00\x01")) {
			return // gob's own matter
		}
		at, values, err := session.Codec{}.Decode(b)
		if err != nil {
			return
		}
		again, err := session.Codec{}.Encode(at, values)
		if err != nil {
			return // a time that cannot be written, as with an odd zone
		}
		if _, _, err := (session.Codec{}).Decode(again); err != nil {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
	})
}
