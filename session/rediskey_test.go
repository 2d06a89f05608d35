package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

func TestParseKey(t *testing.T) {
	hash, token := strings.Repeat("a", 32), strings.Repeat("A", 43)
	for in, want := range map[string]session.RedisKey{
		"session:v1:__Host-session:" + token:                   {Name: "__Host-session", Hash: token},
		"session:v1:a:b:" + token:                              {Name: "a:b", Hash: token},
		"user:session:v1:sid:{" + hash + "}:s":                 {Name: "sid", Hash: hash, Part: "s"},
		"user:session:v1:sid:{" + hash + "}:e":                 {Name: "sid", Hash: hash, Part: "e"},
		"user:session:v1:sid:{session:v1:sid:" + token + "}:w": {Name: "sid", Hash: "session:v1:sid:" + token, Part: "w"},
		"user:session:v1:sid:{session:v1:sid:" + token + "}:m": {Name: "sid", Hash: "session:v1:sid:" + token, Part: "m"},
		"":                                     {},
		"session:v1:sid:short":                 {},
		"session:v1::" + token:                 {},
		"session:v2:sid:" + token:              {},
		"session:v1:sid:" + token + "A":        {},
		"session:v1:{a}:" + token:              {},
		"user:session:v1:sid:{" + hash + "}:x": {},
		"user:session:v1:sid:{" + hash + "}":   {},
		"user:session:v1:sid:" + hash + ":s":   {},
		"scs:session:" + token:                 {},
	} {
		got, ok := session.ParseKey(in)
		if got != want || ok != (want.Name != "") {
			t.Errorf("%q: got %+v, %t", in, got, ok)
		}
	}
}

// Every key that a Manager with the default prefix writes can be parsed.
func TestParseKeyKnowsAllKeys(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	m, err := session.New(rdb, session.WithTimeouts(5*time.Second, 5*time.Second), session.WithEncryption(keyOf(1)))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{Manager: m, t: t}
	a.request(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "a", 1) })), "/")
	a.request(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), "alice", "", ""); err != nil {
			t.Error(err)
		}
	})), "/")
	parts := map[string]int{}
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		got, ok := session.ParseKey(key)
		if !ok || got.Name != "__Host-session" {
			t.Errorf("%q: got %+v, %t", key, got, ok)
		}
		if parts[got.Part]++; got.Part == "" && !session.IsEncoded(rdb.Get(t.Context(), key).Val()) {
			t.Errorf("%q: the value is not recognized as a session", key)
		}
	}
	if parts[""] != 1 || parts["s"] != 1 || parts["m"] != 1 {
		t.Errorf("keys by part: %v, want a session, an index and a marker", parts)
	}
}

func TestIsEncoded(t *testing.T) {
	b, err := session.Codec{}.Encode(time.Now(), map[string]any{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{string(b): true, "\x00\x02sealed": true, "": false, "\x00": false, "text": false, "\x00\x03": false} {
		if got := session.IsEncoded(value); got != want {
			t.Errorf("%q: got %t", value, got)
		}
	}
}
