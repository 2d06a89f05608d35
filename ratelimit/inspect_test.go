package ratelimit_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func TestParseKey(t *testing.T) {
	l, err := ratelimit.New(redistest.Standalone(t).Client(t), ratelimit.Rate(5, time.Minute), ratelimit.WithLimits(ratelimit.Window(7, time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	hash := "2bd806c97f0e00af1a1fc3328fa763a9" // the first half of SHA-256 of alice
	var policies []string
	for _, key := range l.Keys("alice") {
		got, ok := ratelimit.ParseKey(key)
		if !ok || got.Client != hash {
			t.Errorf("%s: got %+v, %t, want client %s", key, got, ok, hash)
		}
		policies = append(policies, got.Policy)
	}
	if want := []string{"5-per-60s", "7-in-3600s"}; !slices.Equal(policies, want) {
		t.Errorf("got policies %q, want %q", policies, want)
	}
	for _, key := range []string{"", "ratelimit:v1:api", "ratelimit:v1:api:{xyz}", "ratelimit:v1:a b:{" + hash + "}", "other:v1:api:{" + hash + "}", "ratelimit:v1:api:{" + hash + "}:x"} {
		if got, ok := ratelimit.ParseKey(key); ok {
			t.Errorf("%q: got %+v, want none", key, got)
		}
	}
}

func TestSiblings(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := limiter(t, rdb, redis_rate.PerMinute(5), ratelimit.WithLimits(ratelimit.Window(7, time.Hour)))
	want := l.Keys("alice")
	for _, key := range want {
		if got := l.Siblings(key); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	other := limiter(t, rdb, redis_rate.PerMinute(6))
	for _, key := range append(other.Keys("alice"), "", "{", "x{y}") {
		if got := l.Siblings(key); got != nil {
			t.Errorf("%q is not of this limiter: got %q", key, got)
		}
	}
}

func TestInspect(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		l := limiter(t, rdb, redis_rate.PerHour(100), ratelimit.WithLimits(ratelimit.Window(70, time.Hour), ratelimit.Concurrency(5)))
		d, leave, err := l.Enter(t.Context(), "alice", 10)
		if err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
		defer leave()
		keys := l.Keys("alice")
		foreign := redistest.Prefix(t) + "foreign"
		rdb.RPush(t.Context(), foreign, "x")
		rdb.PExpire(t.Context(), foreign, time.Minute)
		all, err := ratelimit.Inspect(t.Context(), rdb, append(slices.Clone(keys), "none", foreign)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			kind string
			used float64
		}{{"bucket", 10}, {"window", 10}, {"places", 1}} {
			got := all[keys[i]]
			if got.Kind != want.kind || got.Used < want.used-0.1 || got.Used > want.used || !got.Blocked.IsZero() || !got.Expires.After(time.Now()) {
				t.Errorf("%s: got %+v, want %+v", keys[i], got, want)
			}
		}
		if _, ok := all["none"]; ok || all[foreign].Kind != "unknown" || len(all) != 4 {
			t.Errorf("got %+v", all)
		}
		if err := l.Block(t.Context(), "alice", time.Minute); err != nil {
			t.Fatal(err)
		}
		if all, err = ratelimit.Inspect(t.Context(), rdb, keys...); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys[:2] {
			if left := time.Until(all[key].Blocked); left <= 0 || left > time.Minute {
				t.Errorf("%s is blocked for %v, want a minute", key, left)
			}
		}
		if got := all[keys[2]]; got.Used != 1 || !got.Blocked.IsZero() { // another policy keeps the block
			t.Errorf("places: got %+v", got)
		}
	})
}

// Places alone keep a block of their own, which is not a place.
func TestInspectBlockedPlaces(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l, err := ratelimit.New(rdb, ratelimit.Concurrency(3), ratelimit.WithKeyPrefix(redistest.Prefix(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, leave, err := l.Enter(t.Context(), "alice", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if err := l.Block(t.Context(), "alice", time.Minute); err != nil {
		t.Fatal(err)
	}
	key := l.Keys("alice")[0]
	all, err := ratelimit.Inspect(t.Context(), rdb, key)
	if got := all[key]; err != nil || got.Kind != "places" || got.Used != 1 || got.Blocked.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestInspectWithoutRedis(t *testing.T) {
	if all, err := ratelimit.Inspect(t.Context(), redistest.Standalone(t).Client(t)); len(all) != 0 || err != nil {
		t.Errorf("no keys: got %v, %v", all, err)
	}
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	s.Kill()
	if _, err := ratelimit.Inspect(t.Context(), rdb, "k"); !errors.Is(err, ratelimit.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
