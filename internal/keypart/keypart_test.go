package keypart_test

import (
	"testing"

	"github.com/redishttp/redishttp/internal/keypart"
)

func TestJoin(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {"a:b"}, {"a:", "b"}, {"a", ":b"}, {"1:a"}, {"1:a", "1:b"}, {"1:a1:b"}, {"ä", "\xff\x00"},
	} {
		key := keypart.Join(parts...)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q make the same key %q", parts, other, key)
		}
		seen[key] = parts
	}
	if got, want := keypart.Join("api", "203.0.113.7"), "3:api11:203.0.113.7"; got != want { // stored: it must not change
		t.Errorf("got %q, want %q", got, want)
	}
}
