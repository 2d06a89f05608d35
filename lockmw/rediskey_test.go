package lockmw_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

func TestParseKey(t *testing.T) {
	const hash = "2c70e12b7a0646f92279f427c7b38e73"
	for key, want := range map[string]lockmw.Key{
		"lockmw:v1:orders:{" + hash + "}":    {Name: "orders", Hash: hash},
		"lockmw:v1:orders:{" + hash + "}:m":  {Name: "orders", Hash: hash, Part: "m"},
		"lockmw:v1:orders:{" + hash + "}:q":  {Name: "orders", Hash: hash, Part: "q"},
		"lockmw:v1:orders:{" + hash + "}:qp": {Name: "orders", Hash: hash, Part: "qp"},
		"lockmw:v1:orders:{" + hash + "}:p":  {Name: "orders", Hash: hash, Part: "p"},
		"lockmw:v1:orders:boot":              {Name: "orders", Part: "boot"},
	} {
		if got, ok := lockmw.ParseKey(key); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", key, got, ok, want)
		}
	}
	for _, key := range []string{
		"", "lockmw:v1:orders", "lockmw:v1:orders:{" + hash + "}:x", "lockmw:v1:orders:{" + hash[1:] + "}", "lockmw:v1:orders:{" + strings.ToUpper(hash) + "}",
		"lockmw:v2:orders:{" + hash + "}", "lockmw:v1::{" + hash + "}", "xlockmw:v1:orders:{" + hash + "}", "lockmw:v1:orders:{" + hash + "}\n", "cron:v1:orders:{" + hash + "}",
	} {
		if got, ok := lockmw.ParseKey(key); ok {
			t.Errorf("%q: got %+v", key, got)
		}
	}
}

// ParseKey knows every key that locks of all kinds write.
func TestParseKeyKnowsAllKeys(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	parts := map[string]bool{}
	for name, opts := range map[string][]lockmw.Option{"one": nil, "readers": {lockmw.WithReadWrite(true)}} {
		opts = append(opts, lockmw.WithName(name), lockmw.WithKeyPrefix("lockmw"))
		one, two := locker(t, rdb, opts...), locker(t, rdb, opts...)
		k := acquire(t, one, "key")
		next := make(chan *lockmw.Lock)
		go func() {
			k, err := two.Acquire(t.Context(), "key")
			if err != nil {
				t.Error(err)
			}
			next <- k
		}()
		redistest.Eventually(t, patience, func() bool { i, err := one.Inspect(t.Context(), "key"); return err == nil && i.Waiters == 1 }, "does not wait")
		for _, key := range rdb.Keys(t.Context(), "*").Val() {
			parsed, ok := lockmw.ParseKey(key)
			if !ok {
				t.Errorf("%s is unknown", key)
			}
			parts[parsed.Part] = true
			if parsed.Name == name && !strings.HasPrefix(key, one.RedisKey("key")) {
				t.Errorf("%s does not belong to %s", key, one.RedisKey("key"))
			}
		}
		_ = k.Release(t.Context())
		_ = (<-next).Release(t.Context())
	}
	if len(parts) != 5 {
		t.Errorf("parts %v, want five", parts)
	}
	masters := newMasters(t, 3)
	l := masters.locker(t, lockmw.WithKeyPrefix("lockmw"), lockmw.WithTTL(time.Minute), lockmw.WithTimeout(10*time.Second))
	if err := l.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range masters.servers {
		for _, key := range s.Client(t).Keys(t.Context(), "lockmw:*").Val() {
			if parsed, ok := lockmw.ParseKey(key); !ok || parsed.Part != "boot" {
				t.Errorf("%s: got %+v, %v", key, parsed, ok)
			}
		}
	}
}
