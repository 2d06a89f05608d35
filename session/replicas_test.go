package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// Of a Ring, WAIT is sent to the shard that had the session, and to no other.
func TestWaitReplicasOfARingWaitsOnTheShardOfTheSession(t *testing.T) {
	shards := map[string]*redistest.Server{"a": redistest.NewServer(t), "b": redistest.NewServer(t)}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": shards["a"].Addr(), "b": shards["b"].Addr()}})
	defer ring.Close()
	a := newApp(t, ring, session.WithWaitReplicas(1, time.Millisecond))
	put := a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { a.Put(r.Context(), "k", 1) }))
	var unconfirmed error
	logout := a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { unconfirmed = a.Destroy(r.Context()) }))

	clients, want := map[string]redis.UniversalClient{}, map[string]int{}
	for name, s := range shards {
		clients[name] = s.Client(t)
	}
	for i := 0; want["a"] == 0 || want["b"] == 0; i++ {
		if i == 100 {
			t.Fatal("100 sessions are all on one shard")
		}
		a.cookie = ""
		a.request(put, "/")
		for name, c := range clients {
			if keys := c.Keys(t.Context(), a.prefix+"*").Val(); len(keys) == 1 {
				want[name]++
			}
		}
		unconfirmed = nil
		a.request(logout, "/")
		if !errors.Is(unconfirmed, session.ErrUnconfirmed) {
			t.Fatalf("without replicas: got %v, want ErrUnconfirmed", unconfirmed)
		}
		for name, c := range clients {
			if got := waits(t.Context(), c); got != want[name] {
				t.Fatalf("shard %s: %d WAIT, want %d", name, got, want[name])
			}
		}
	}
}

// waits is how often a server has run WAIT.
func waits(ctx context.Context, c redis.UniversalClient) (n int) {
	for line := range strings.Lines(c.Info(ctx, "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_wait:calls="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}
