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
	b, _ = session.Codec{}.Encode(time.Unix(1, 2), map[string]any{session.UserKey: "u", session.RememberKey: true})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(b, []byte("\x00\x01")) {
			return // gob's own matter
		}
		at, values, err := session.Codec{}.Decode(b)
		if err != nil {
			return
		}
		checkGlance(t, session.Codec{}, b, at, values)
		again, err := session.Codec{}.Encode(at, values)
		if err != nil {
			return // a time that cannot be written, as with an odd zone
		}
		if _, _, err := (session.Codec{}).Decode(again); err != nil {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
	})
}

// checkGlance compares a glance with what decoding has found.
func checkGlance(t *testing.T, c scs.Codec, b []byte, at time.Time, values map[string]any) {
	t.Helper()
	user, _ := values[session.UserKey].(string)
	remember, _ := values[session.RememberKey].(bool)
	deadline, remembered, name, err := session.Glance(c, b)
	if err != nil || !deadline.Equal(at) || remembered != remember || name != user {
		t.Errorf("%x: got %v, %t, %q, %v; want %v, %t, %q", b, deadline, remembered, name, err, at, remember, user)
	}
}

// A glance sees the same as decoding, with each codec, and fails where that fails.
func TestGlance(t *testing.T) {
	gob.Register(time.Time{})
	at := time.Date(2026, 11, 28, 1, 2, 3, 4, time.UTC)
	for _, c := range []scs.Codec{session.Codec{}, scs.GobCodec{}} {
		for _, values := range []map[string]any{
			{},
			{session.UserKey: "alice", session.RememberKey: true},
			{session.UserKey: "", session.RememberKey: false, "a": "b", "n": 1, "t": at, "f": 1.5, "b": []byte("x"), "g": uint8(1), "l": int64(9), "i": int32(-9), "y": true},
			{session.UserKey: 7, session.RememberKey: "yes"},
			{"__usex": "near", "__uses": "near"},
		} {
			b, err := c.Encode(at, values)
			if err != nil {
				t.Fatal(err)
			}
			checkGlance(t, c, b, at, values)
			for n := range len(b) {
				if _, _, _, err := session.Glance(c, b[:n]); err == nil {
					t.Errorf("%T: %d of %d bytes are accepted", c, n, len(b))
				}
			}
		}
	}
}

// A save of a large session does not decode it several times.
func TestAGlanceAllocatesNothing(t *testing.T) {
	b, err := session.Codec{}.Encode(time.Now(), map[string]any{"blob": string(make([]byte, 4000)), session.RememberKey: true})
	if err != nil {
		t.Fatal(err)
	}
	c := scs.Codec(session.Codec{})
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = session.Glance(c, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
