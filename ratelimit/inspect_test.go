package ratelimit_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func TestParseKey(t *testing.T) {
	hash := "2bd806c97f0e00af1a1fc3328fa763a9" // the first half of SHA-256 of alice
	for policy, limits := range map[string][]ratelimit.Limit{
		"5-per-60s": {ratelimit.PerMinute(5)}, "7-in-3600s": {ratelimit.Window(7, time.Hour)}, "3-at-once": {ratelimit.Concurrency(3)},
		"": {ratelimit.PerMinute(5), ratelimit.Window(7, time.Hour)},
	} {
		l, err := ratelimit.New(redistest.Standalone(t).Client(t), ratelimit.Limit{}, ratelimit.WithLimits(limits...))
		if err != nil {
			t.Fatal(err)
		}
		keys := l.Keys("alice")
		if len(keys) != 1 {
			t.Fatalf("%q: got keys %q, want one", policy, keys)
		}
		got, ok := ratelimit.ParseKey(keys[0])
		if want := (ratelimit.Key{Policy: policy, Client: hash}); !ok || got != want {
			t.Errorf("%s: got %+v, %t, want %+v", keys[0], got, ok, want)
		}
	}
	for _, key := range []string{"", "ratelimit:v1:api", "ratelimit:v1:api:{xyz}", "ratelimit:v1:a b:{" + hash + "}", "other:v1:api:{" + hash + "}", "ratelimit:v1:api:{" + hash + "}:x", "ratelimit:v1::{" + hash + "}"} {
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
	if len(want) != 1 {
		t.Errorf("%d keys count several policies, want one: %q", len(want), want)
	}
	single := limiter(t, rdb, redis_rate.PerMinute(5))
	if got, want := single.Siblings(single.Keys("alice")[0]), single.Keys("alice"); !slices.Equal(got, want) {
		t.Errorf("one policy: got %q, want %q", got, want)
	}
	other := limiter(t, rdb, redis_rate.PerMinute(6))
	for _, key := range append(other.Keys("alice"), "", "{", "x{y}") {
		if got := l.Siblings(key); got != nil {
			t.Errorf("%q is not of this limiter: got %q", key, got)
		}
	}
}

func TestInspect(t *testing.T) {
	type want struct {
		policy, kind string
		used         float64
		blocked      bool
	}
	check := func(t *testing.T, rdb redis.UniversalClient, key string, wants ...want) {
		t.Helper()
		all, err := ratelimit.Inspect(t.Context(), rdb, key)
		if err != nil || len(all[key]) != len(wants) {
			t.Fatalf("got %+v, %v, want %+v", all, err, wants)
		}
		for i, want := range wants {
			got := all[key][i]
			if got.Policy != want.policy || got.Kind != want.kind || got.Used < want.used-0.1 || got.Used > want.used || !got.Expires.After(time.Now()) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if left := time.Until(got.Blocked); want.blocked != (left > 0 && left <= time.Minute) || !want.blocked && !got.Blocked.IsZero() {
				t.Errorf("%s is blocked for %v, want a minute: %v", want.kind, left, want.blocked)
			}
		}
	}
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		bucket, window, places := ratelimit.PerHour(100), ratelimit.Window(70, time.Hour), ratelimit.Concurrency(5)
		for _, tc := range []struct {
			limits         []ratelimit.Limit
			before, behind []want
		}{
			{[]ratelimit.Limit{bucket}, []want{{"", "bucket", 10, false}}, []want{{"", "bucket", 10, true}}},
			{[]ratelimit.Limit{window}, []want{{"", "window", 10, false}}, []want{{"", "window", 10, true}}},
			{[]ratelimit.Limit{places}, []want{{"", "places", 1, false}}, []want{{"", "places", 1, true}}},
			{ // ordered by name; another policy keeps the block of the places
				[]ratelimit.Limit{bucket, window, places},
				[]want{{"100-per-3600s", "bucket", 10, false}, {"5-at-once", "places", 1, false}, {"70-in-3600s", "window", 10, false}},
				[]want{{"100-per-3600s", "bucket", 10, true}, {"5-at-once", "places", 1, false}, {"70-in-3600s", "window", 10, true}},
			},
		} {
			l := limiter(t, rdb, redis_rate.Limit{}, ratelimit.WithLimits(tc.limits...), ratelimit.WithTimeout(patience))
			d, leave, err := l.Enter(t.Context(), "alice", 10)
			if err != nil || !d.Allowed {
				t.Fatal(d, err)
			}
			key := l.Keys("alice")[0]
			check(t, rdb, key, tc.before...)
			if err := l.Block(t.Context(), "alice", time.Minute); err != nil {
				t.Fatal(err)
			}
			check(t, rdb, key, tc.behind...)
			leave()
		}
		foreign := redistest.Prefix(t) + "foreign"
		rdb.RPush(t.Context(), foreign, "x")
		rdb.PExpire(t.Context(), foreign, time.Minute)
		check(t, rdb, foreign, want{"", "unknown", 0, false})
		if all, err := ratelimit.Inspect(t.Context(), rdb, "none"); err != nil || len(all) != 0 {
			t.Errorf("no key: got %+v, %v", all, err)
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
	if err != nil || len(all[key]) != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	if got := all[key][0]; got.Kind != "places" || got.Used != 1 || got.Blocked.IsZero() {
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
