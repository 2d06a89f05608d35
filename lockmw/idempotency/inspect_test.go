package idempotency_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

func TestParseKey(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef"
	if got, ok := idempotency.ParseKey("idempotency:v1:shop:{" + hash + "}"); !ok || got.Keeper != "shop" || got.Request != hash {
		t.Errorf("got %+v, %t", got, ok)
	}
	for _, key := range []string{"", "idempotency:v1:shop:{x}", "idempotency:v1:shop:{" + hash + "}:x", "other:v1:shop:{" + hash + "}"} {
		if got, ok := idempotency.ParseKey(key); ok {
			t.Errorf("%q: got %+v, want none", key, got)
		}
	}
}

// Inspect follows a record from its beginning to its end, and reads none of the
// response.
func TestInspect(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	k := keeper(t, rdb, "idempotency")
	run, _, err := k.Begin(t.Context(), idempotency.Operation{Scope: "alice", Key: "k", Name: "pay"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := rdb.Keys(t.Context(), "idempotency:v1:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("got %q, %v", keys, err)
	}
	see := func() idempotency.Record {
		rdb.Set(t.Context(), "text", "x", time.Minute)
		all, err := idempotency.Inspect(t.Context(), rdb, keys[0], "text")
		if err != nil || len(all) != 1 {
			t.Fatalf("got %+v, %v", all, err)
		}
		return all[keys[0]]
	}
	if got := see(); got.State != "begun" || got.Attempts != 1 || got.Fence == 0 || got.Owner == "" || got.Size != 0 {
		t.Errorf("begun: got %+v", got)
	}
	if err := run.Keep([]byte("the response")); err != nil {
		t.Fatal(err)
	}
	run.Release()
	if got := see(); got.State != "done, and the response is kept" || got.Size != int64(len("the response")) {
		t.Errorf("kept: got %+v", got)
	}
}

func TestInspectWithoutRedis(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	if all, err := idempotency.Inspect(t.Context(), rdb); len(all) != 0 || err != nil {
		t.Errorf("no keys: got %v, %v", all, err)
	}
	s.Kill()
	if _, err := idempotency.Inspect(t.Context(), rdb, "k"); !errors.Is(err, idempotency.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
