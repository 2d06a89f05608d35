package redigoconn_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redigoconn"
	"github.com/redishttp/redishttp/internal/redistest"
)

// dialer makes virtual connections over rdb.
func dialer(t testing.TB, rdb goredis.UniversalClient, keepTransactions bool) *redigoconn.Dialer {
	t.Helper()
	d, err := redigoconn.NewDialer(rdb, keepTransactions)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// commit sends what redisstore sends.
func commit(c redis.Conn, key, value string, until time.Time) error {
	_ = c.Send("MULTI")
	_ = c.Send("SET", key, value)
	_ = c.Send("PEXPIREAT", key, until.UnixMilli())
	_, err := c.Do("EXEC")
	return err
}

// The time to live comes with the value, in one round trip.
func TestTrackTTL(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		for suffix, ttl := range map[string]time.Duration{":minute": time.Minute, ":forever": 0} {
			if err := rdb.Set(t.Context(), "{"+key+"}"+suffix, "v", ttl).Err(); err != nil {
				t.Fatal(err)
			}
		}
		conn := dialer(t, rdb, false).Conn()
		conn.TrackTTL(true)
		count := redistest.Count(rdb)
		for _, tc := range []struct {
			suffix, value string
			least, most   time.Duration
		}{{":minute", "v", 50 * time.Second, time.Minute}, {":forever", "v", -1 << 62, -1}, {":none", "", -1 << 62, -1}, {":minute", "v", 50 * time.Second, time.Minute}} {
			before := count.Trips()
			got, err := redis.String(conn.Do("GET", "{"+key+"}"+tc.suffix))
			if got != tc.value || err != nil && !errors.Is(err, redis.ErrNil) {
				t.Errorf("%s: got %q, %v", tc.suffix, got, err)
			}
			if ttl := conn.TTL(); ttl < tc.least || ttl > tc.most {
				t.Errorf("%s: time to live %v", tc.suffix, ttl)
			}
			if trips := count.Trips() - before; trips != 1 {
				t.Errorf("%s: %d round trips, want one", tc.suffix, trips)
			}
		}
		conn.Unbind()
		if conn.TTL() != 0 {
			t.Errorf("after Unbind: %v of another request", conn.TTL())
		}
		conn.TrackTTL(false)
		count.Reset()
		if _, err := conn.Do("GET", "{"+key+"}:minute"); err != nil || conn.TTL() != 0 || count.Commands()["pttl"] != 0 {
			t.Errorf("switched off: %v, %v, %v", err, conn.TTL(), count.Commands())
		}
	})
}

// With ExpireIn a key lives by Redis' clock, whatever time redisstore computes.
func TestExpireIn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		conn := dialer(t, rdb, false).Conn()
		wrong := time.Now().Add(-24 * time.Hour) // of a clock that is a day late
		for _, guard := range []string{"", "first"} {
			conn.ExpireIn(time.Hour)
			if guard != "" {
				conn.Guard([]byte(guard))
			}
			if err := commit(conn, key, "first", wrong); err != nil {
				t.Fatal(err)
			}
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 59*time.Minute || ttl > time.Hour {
				t.Errorf("guarded by %q: time to live %v, want an hour", guard, ttl)
			}
			conn.Unbind()
		}
		conn.ExpireIn(time.Nanosecond) // not 0, which Redis rejects
		if err := commit(conn, key, "v", wrong); err != nil {
			t.Errorf("a nanosecond: %v", err)
		}
		redistest.Eventually(t, patience, func() bool { return rdb.Exists(t.Context(), key).Val() == 0 }, "it does not expire")
		conn.ExpireIn(0)
		if err := commit(conn, key, "v", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 50*time.Second || ttl > time.Minute {
			t.Errorf("ended: time to live %v, want the minute of PEXPIREAT", ttl)
		}
	})
}

// A Dialer that keeps transactions sends them as they are, and so does one whose
// server does not know SET … PXAT, after the first.
func TestTransactionsAsTheyAre(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, tc := range map[string]struct {
			keep, old bool
			want      string // commands of two commits
		}{
			"new":  {false, false, "map[set:2]"},
			"keep": {true, false, "map[pexpireat:2 set:2]"},
			"old":  {false, true, "map[pexpireat:2 set:3]"},
		} {
			rdb, key := g.Client(t), redistest.Prefix(t)
			count := redistest.Count(rdb)
			if tc.old {
				rdb.AddHook(oldServer{})
			}
			conn := dialer(t, rdb, tc.keep).Conn()
			for _, value := range []string{"one", "two"} {
				if err := commit(conn, key, value, time.Now().Add(time.Minute)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if got := rdb.Get(t.Context(), key).Val(); got != value {
					t.Errorf("%s: got %q, want %q", name, got, value)
				}
			}
			sent := count.Commands()
			delete(sent, "get")
			delete(sent, "multi")
			delete(sent, "exec")
			if got := fmt.Sprint(sent); got != tc.want {
				t.Errorf("%s: sent %s, want %s", name, got, tc.want)
			}
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 50*time.Second || ttl > time.Minute {
				t.Errorf("%s: time to live %v", name, ttl)
			}
		}
	})
}

// oldServer rejects SET … PXAT in the words of Redis 6.0.
type oldServer struct{ goredis.Hook }

func (oldServer) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (oldServer) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

type syntaxError struct{}

func (syntaxError) Error() string { return "ERR syntax error" }
func (syntaxError) RedisError()   {}

// Guarded commits of many connections at once lose no update.
func TestConcurrentGuardedCommits(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, key := g.Client(t), redistest.Prefix(t)
		d := dialer(t, rdb, false)
		if err := commit(d.Conn(), key, "0", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		const writers, each = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				conn := d.Conn()
				for done := 0; done < each; {
					read, err := redis.String(conn.Do("GET", key))
					if err != nil {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(strings.SplitN(read, " ", 2)[0])
					conn.Guard([]byte(read))
					err = commit(conn, key, fmt.Sprintf("%d %p", n+1, conn), time.Now().Add(time.Minute))
					conn.Unbind()
					var conflict *redigoconn.ConflictError
					switch {
					case err == nil:
						done++
					case !errors.As(err, &conflict):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if got := rdb.Get(t.Context(), key).Val(); !strings.HasPrefix(got, fmt.Sprint(writers*each)+" ") {
			t.Errorf("got %q, want %d updates", got, writers*each)
		}
	})
}
