package bounded_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// SET … IFEQ writes in place of the old value alone, with its TTL, on every topology.
// A server without it is asked once, which is no refusal to be logged.
func TestSetIfEqualOnEveryTopology(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		var log bytes.Buffer
		c := bounded.New(rdb).Watch(slog.New(slog.NewTextHandler(&log, nil)))
		has := errors.Is(rdb.Do(t.Context(), "set", key, "x", "px", 1, "ifeq", "y").Err(), redis.Nil)
		redistest.NoErrors(t, rdb.Set(t.Context(), key, "a", time.Hour).Err())
		count := redistest.Count(rdb)
		for i, step := range []struct {
			key, old string
			done     bool
		}{{key, "a", true}, {key, "a", false}, {key + ":none", "a", false}, {key, "b", true}} {
			done, err := c.SetIfEqual(t.Context(), bounded.Swap{Key: step.key, Old: step.old, New: "b", Expiry: "PX", At: 60_000})
			if has && (done != step.done || err != nil) || !has && (done || !errors.Is(err, bounded.ErrNoIFEQ)) {
				t.Errorf("step %d: got %t, %v", i, done, err)
			}
		}
		sent, want, ttl := count.Commands()["set"], 1, time.Hour
		if has {
			want, ttl = 4, time.Minute
		}
		if sent != want {
			t.Errorf("sent %d times, want %d", sent, want)
		}
		if left := rdb.PTTL(t.Context(), key).Val(); left > ttl || left < ttl-10*time.Second {
			t.Errorf("time to live %v, want about %v", left, ttl)
		}
		if strings.Contains(log.String(), "refuses") {
			t.Errorf("log: %s", &log)
		}
	})
}

// It is sent once and ends with its context, and a reply that is lost does not say
// that the server lacks it.
func TestSetIfEqualIsBounded(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	for name, rdb := range clients(t, p.Addr()) {
		c := bounded.New(rdb)
		redistest.NoErrors(t, rdb.Ping(t.Context()).Err())
		p.Mute()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		done, err := c.SetIfEqual(ctx, bounded.Swap{Key: "k", Old: "a", New: "b", Expiry: "PX", At: 60_000})
		if took := time.Since(start); done || !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) || errors.Is(err, bounded.ErrNoIFEQ) || took > 2*time.Second {
			t.Errorf("%s: got %t, %v after %v, want a timeout at 50ms", name, done, err, took)
		}
		cancel()
		p.CloseConns()
		p.Heal()
	}
}
