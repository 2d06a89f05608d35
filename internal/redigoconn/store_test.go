package redigoconn_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
)

// What scs/redisstore's own tests check, on every topology.
func TestRedisstore(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		prefix := redistest.Prefix(t) + ":"
		store := redisstore.NewWithPrefix(pool(t, rdb), prefix)

		if _, found, err := store.Find("none"); found || err != nil {
			t.Errorf("missing: got %v, %v", found, err)
		}
		expiry := time.Now().Add(time.Minute)
		count := redistest.Count(rdb)
		if err := store.Commit("a", []byte("data"), expiry); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(count.Trips(), count.Commands()); got != "1 map[set:1]" {
			t.Errorf("a commit costs %s, want one SET", got)
		}
		if b, found, err := store.Find("a"); !found || err != nil || !bytes.Equal(b, []byte("data")) {
			t.Errorf("saved: got %q, %v, %v", b, found, err)
		}
		if ttl := rdb.PTTL(t.Context(), prefix+"a").Val(); ttl < 50*time.Second || ttl > time.Minute {
			t.Errorf("time to live: got %v, want a minute", ttl)
		}
		store.Commit("a", []byte("new"), expiry)
		if b, _, _ := store.Find("a"); !bytes.Equal(b, []byte("new")) {
			t.Errorf("updated: got %q", b)
		}
		store.Commit("past", []byte("x"), time.Now().Add(-time.Second))
		store.Commit("soon", []byte("x"), time.Now().Add(50*time.Millisecond))
		if _, found, _ := store.Find("past"); found {
			t.Error("a session that has expired is found")
		}
		redistest.Eventually(t, patience, func() bool { _, found, _ := store.Find("soon"); return !found }, "a session does not expire")
		if err := store.Delete("a"); err != nil {
			t.Error(err)
		}
		if _, found, _ := store.Find("a"); found {
			t.Error("deleted: still found")
		}
		if err := store.Delete("a"); err != nil {
			t.Errorf("deleting again: %v", err)
		}
	})
}

func TestRedisstoreAllOverAllMasters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t) + ":"
		store := redisstore.NewWithPrefix(pool(t, g.Client(t)), prefix)
		for i := range 510 {
			if err := store.Commit(fmt.Sprint(i), fmt.Append(nil, i), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		all, err := store.All()
		if err != nil || len(all) != 510 || string(all["509"]) != "509" {
			t.Errorf("All: got %d, %v, want 510", len(all), err)
		}
	})
}

func TestRedisstoreThroughAFailover(t *testing.T) {
	s := redistest.NewSentinel(t)
	store := redisstore.New(pool(t, s.Target().Client(t)))
	if err := store.Commit("a", []byte("data"), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// Replication is asynchronous: a failover may lose the last writes.
	replica := s.Replicas()[0].Client(t)
	redistest.Eventually(t, patience, func() bool { return replica.Exists(t.Context(), "scs:session:a").Val() == 1 }, "not replicated")
	s.Failover(t)
	redistest.Eventually(t, patience, func() bool {
		return store.Commit("b", []byte("data"), time.Now().Add(time.Minute)) == nil
	}, "no commit after the failover")
	if _, found, err := store.Find("a"); !found || err != nil {
		t.Errorf("after the failover: got %v, %v, want the session", found, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t) + ":"
		store := redisstore.NewWithPrefix(pool(t, g.Client(t)), prefix)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				token := fmt.Sprint("t", i)
				for n := range 20 {
					want := fmt.Append(nil, i, n)
					if err := store.Commit(token, want, time.Now().Add(time.Minute)); err != nil {
						t.Error(err)
					}
					if got, found, err := store.Find(token); !found || err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s: got %q, %v, %v, want %q", token, got, found, err, want)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestBindForgetsTheContext(t *testing.T) {
	dialer, err := redigoconn.NewDialer(redistest.Standalone(t).Client(t), false)
	if err != nil {
		t.Fatal(err)
	}
	conn := dialer.Conn()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conn.Bind(ctx)
	if _, err := conn.Do("PING"); err == nil {
		t.Error("a cancelled context has no effect")
	}
	conn.Unbind()
	if got, err := conn.Do("PING"); got != "PONG" || err != nil {
		t.Errorf("after Unbind: got %v, %v", got, err)
	}
}

func BenchmarkStore(b *testing.B) {
	rdb := redistest.Standalone(b).Client(b)
	addr := rdb.(*goredis.Client).Options().Addr
	plain := &redis.Pool{MaxIdle: 64, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", addr) }}
	defer plain.Close()
	data, expiry := bytes.Repeat([]byte("x"), 600), time.Now().Add(time.Hour)
	for name, p := range map[string]*redis.Pool{"redigo": plain, "virtual": pool(b, rdb)} {
		store := redisstore.NewWithPrefix(p, redistest.Prefix(b))
		b.Run("commit/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := store.Commit("a", data, expiry); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("find/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := store.Find("a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
