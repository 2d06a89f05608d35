package chaintest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
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
	mu       sync.Mutex
	byRedis  int           // decisions
	waited   int           // decisions without Redis after a timeout
	refused  int           // decisions without Redis at once, by an open breaker
	answered time.Duration // since the start: when the last call began that was answered
	silence  time.Duration // after which the first decision was refused

	stop chan struct{}
	wg   sync.WaitGroup
}

func startCrowd(t *testing.T, l *ratelimit.Limiter) *crowd {
	c := &crowd{stop: make(chan struct{})}
	began := time.Now()
	for g := range 64 {
		c.wg.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				start := time.Since(began)
				_, err := l.Allow(t.Context(), fmt.Sprint(g))
				now := time.Since(began)
				c.mu.Lock()
				switch {
				case err == nil:
					c.byRedis++
					c.answered = max(c.answered, start)
				case now-start > 20*time.Millisecond:
					c.waited++
				default:
					if c.refused++; c.refused == 1 {
						c.silence = now - c.answered
					}
				}
				c.mu.Unlock()
				if err != nil {
					runtime.Gosched()
				}
			}
		})
	}
	t.Cleanup(c.end)
	return c
}

// counts are the decisions since the last call.
func (c *crowd) counts() (waited, refused int, silence time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waited, refused = c.waited, c.refused
	c.waited, c.refused = 0, 0
	return waited, refused, c.silence
}

// flows waits for a thousand decisions by Redis.
func (c *crowd) flows(t *testing.T) {
	t.Helper()
	n := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.byRedis
	}
	from := n()
	redistest.Eventually(t, Patience, func() bool { return n() > from+1000 }, "no decisions by Redis")
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
				outages := make(chan time.Time, 100)
				l := must(ratelimit.New(pooled(t, s, name), redis_rate.PerHour(1_000_000), ratelimit.WithTimeout(budget), ratelimit.WithDenyCache(0, 0),
					ratelimit.WithHooks(ratelimit.Hooks{Outage: func(_ context.Context, unavailable bool) {
						if unavailable {
							outages <- time.Now()
						}
					}})))
				c := startCrowd(t, l)
				c.flows(t)
				aPause(t, c, s, budget)
				for len(outages) > 0 {
					<-outages
				}
				anOutage(t, c, s, budget, outages)
				startCrowd(t, l).flows(t)
			})
		}
	}
}

// pooled is a client whose pool is large enough for a crowd.
func pooled(t *testing.T, s *redistest.Server, name string) redis.UniversalClient {
	if name != "plain" {
		return clients[name](connecttest.Open(t, s.URL(), connect.WithPool(100, 0)))
	}
	o := s.Options()
	o.ContextTimeoutEnabled, o.PoolSize = true, 100
	rdb := redis.NewClient(o)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// aPause pauses the server for 80 ms. A busy machine may make it longer: the breaker
// must then open, and there is another one.
func aPause(t *testing.T, c *crowd, s *redistest.Server, budget time.Duration) {
	t.Helper()
	admin := s.Client(t)
	for end := time.Now().Add(Patience); ; {
		c.counts()
		if err := admin.Do(t.Context(), "CLIENT", "PAUSE", 80, "WRITE").Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, Patience, func() bool { return admin.Set(t.Context(), "pause", "over", time.Minute).Err() == nil }, "the pause does not end")
		c.flows(t)
		waited, refused, silence := c.counts()
		switch {
		case refused > 0 && silence < 200*time.Millisecond:
			t.Fatalf("%d calls were refused %v after one that was answered, %d had timed out", refused, silence, waited)
		case refused == 0 && (waited >= 5 || budget > 80*time.Millisecond):
			return
		case time.Now().After(end):
			t.Fatalf("the machine never pauses for 80ms only: %d calls refused, %d timed out", refused, waited)
		}
	}
}

// anOutage pauses the server until it is cut off.
func anOutage(t *testing.T, c *crowd, s *redistest.Server, budget time.Duration, outages <-chan time.Time) {
	t.Helper()
	admin := s.Client(t)
	c.counts()
	start := time.Now()
	if err := admin.Do(t.Context(), "CLIENT", "PAUSE", time.Minute.Milliseconds(), "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	bound := budget + max(budget, 200*time.Millisecond)
	select {
	case at := <-outages:
		if took := at.Sub(start); took > bound+slack {
			t.Errorf("hung: cut off after %v, want %v", took, bound)
		}
	case <-time.After(Patience):
		t.Fatal("a server that hangs is waited for all the time")
	}
	c.end() // with the calls that are in flight
	waited, _, _ := c.counts()
	t.Logf("hung: %d calls waited", waited)
	if most := 64 * int((bound+slack)/budget); waited > most {
		t.Errorf("hung: %d calls waited, want %d at most", waited, most)
	}
	if err := admin.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
}
