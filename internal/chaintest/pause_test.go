package chaintest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// crowd is 64 goroutines that ask a limiter one time after the other.
type crowd struct {
	byRedis, waited, refused atomic.Int64 // decisions, the last at once and without Redis
	stop                     chan struct{}
	wg                       sync.WaitGroup
}

func startCrowd(t *testing.T, l *ratelimit.Limiter) *crowd {
	c := &crowd{stop: make(chan struct{})}
	for g := range 64 {
		c.wg.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				start := time.Now()
				switch _, err := l.Allow(t.Context(), fmt.Sprint(g)); {
				case err == nil:
					c.byRedis.Add(1)
				case time.Since(start) > 20*time.Millisecond:
					c.waited.Add(1)
				default: // by a breaker
					c.refused.Add(1)
					runtime.Gosched()
				}
			}
		})
	}
	t.Cleanup(c.end)
	return c
}

func (c *crowd) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.wg.Wait()
}

// While a slot moves to another node of Valkey 9, writes wait for some 50 to 150 ms
// and then go on. However many calls of a crowd time out in such a pause, it opens no
// breaker; and one that does not end is waited for no longer than docs/failure.md says.
func TestAPauseIsNoOutage(t *testing.T) {
	for _, name := range []string{"plain", "client", "batched"} {
		for _, budget := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", name, budget), func(t *testing.T) {
				s := redistest.NewServer(t)
				admin := s.Client(t)
				var rdb redis.UniversalClient
				var conn *connect.Conn
				if name == "plain" {
					o := s.Options()
					o.ContextTimeoutEnabled, o.PoolSize = true, 100
					rdb = redis.NewClient(o)
					t.Cleanup(func() { rdb.Close() })
				} else {
					conn = connecttest.Open(t, s.URL(), connect.WithPool(100, 0))
					rdb = clients[name](conn)
				}
				var outages atomic.Int32
				l := must(ratelimit.New(rdb, redis_rate.PerHour(1_000_000), ratelimit.WithTimeout(budget), ratelimit.WithDenyCache(0, 0),
					ratelimit.WithHooks(ratelimit.Hooks{Outage: func(_ context.Context, unavailable bool) {
						if unavailable {
							outages.Add(1)
						}
					}})))
				c := startCrowd(t, l)
				flows := func(n int64) {
					t.Helper()
					from := c.byRedis.Load()
					redistest.Eventually(t, Patience, func() bool { return c.byRedis.Load() > from+n }, "no decisions by Redis")
				}
				flows(1000)
				pause := func(d time.Duration) time.Time {
					t.Helper()
					now := time.Now()
					if err := admin.Do(t.Context(), "CLIENT", "PAUSE", d.Milliseconds(), "WRITE").Err(); err != nil {
						t.Fatal(err)
					}
					return now
				}
				opened := func() int64 {
					n := int64(outages.Load()) // of the limiter's own breaker
					if conn != nil {
						n += conn.Stats().Opened
					}
					return n
				}

				before := c.waited.Load()
				pause(80 * time.Millisecond)
				redistest.Eventually(t, Patience, func() bool { return admin.Set(t.Context(), "pause", "over", time.Minute).Err() == nil }, "the pause does not end")
				flows(1000)
				failed := c.waited.Load() - before
				if budget < 80*time.Millisecond && failed < 5 {
					t.Errorf("%d calls timed out: the pause was none", failed)
				}
				if opened() != 0 || c.refused.Load() != 0 {
					t.Errorf("a pause of 80ms: %d calls timed out, a breaker opened %d times and refused %d calls", failed, opened(), c.refused.Load())
				}

				before = c.waited.Load()
				start := pause(time.Minute)
				bound := max(2*budget, 250*time.Millisecond+budget)
				redistest.Eventually(t, Patience, func() bool { return opened() > 0 }, "a server that hangs is waited for all the time")
				took := time.Since(start)
				redistest.Eventually(t, Patience, func() bool { return c.refused.Load() > 1000 }, "calls still wait")
				failed = c.waited.Load() - before
				t.Logf("hung: opened after %v, %d calls waited", took, failed)
				if took > bound+slack {
					t.Errorf("hung: opened after %v, want within %v", took, bound)
				}
				if most := 64 * int64((bound+slack)/budget); failed > most {
					t.Errorf("hung: %d calls waited, want %d at most", failed, most)
				}
				if err := admin.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
					t.Fatal(err)
				}
				flows(1000)
			})
		}
	}
}
