package connect_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
)

// slowConn delays what is read by a constant time, as a network does: bytes in
// flight do not wait for each other.
type slowConn struct {
	net.Conn
	delay time.Duration
	in    chan chunk
	rest  []byte
}

type chunk struct {
	data []byte
	err  error
	due  time.Time
}

func slow(conn net.Conn, delay time.Duration) net.Conn {
	c := &slowConn{Conn: conn, delay: delay, in: make(chan chunk, 1024)}
	go func() {
		defer close(c.in)
		for {
			buf := make([]byte, 16<<10)
			n, err := conn.Read(buf)
			c.in <- chunk{buf[:n], err, time.Now().Add(delay)}
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *slowConn) SetReadDeadline(time.Time) error { return nil }

func (c *slowConn) SetDeadline(time.Time) error { return nil }

func (c *slowConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		next, ok := <-c.in
		if !ok {
			return 0, net.ErrClosed
		}
		for wait := time.Until(next.due); wait > 0; wait = time.Until(next.due) {
			pause(wait)
		}
		if next.err != nil {
			return 0, next.err
		}
		c.rest = next.data
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func pause(d time.Duration) { <-time.After(d) }

func dialer(delay time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil || delay == 0 {
			return conn, err
		}
		return slow(conn, delay), nil
	}
}

type commands interface {
	redis.Scripter
	Get(ctx context.Context, key string) *redis.StringCmd
}

var counter = redis.NewScriptServerSHA(`local v = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], (tonumber(v) or 0) + 1, 'PX', 60000)
return v`)

// BenchmarkBatched compares clients in one run: plain go-redis with its
// defaults, ours, and ours with batching. An iteration is a round in which each
// of them works for a moment in turn; reported are go-redis' calls per second
// and, as medians over the rounds, how many times that the others do. Machines
// are noisy: run it with -benchtime 20x and look at the ratios.
func BenchmarkBatched(b *testing.B) {
	for _, topology := range []struct {
		name   string
		target *redistest.Target
		delay  time.Duration
	}{
		{"loopback", redistest.Standalone(b), 0},
		{"rtt=1ms", redistest.Standalone(b), time.Millisecond},
		{"cluster", redistest.Cluster(b), 0},
	} {
		plain := topology.target.Client(b, func(o *redis.UniversalOptions) {
			o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = 0, 0, false
			o.Dialer = dialer(topology.delay)
		})
		conn, err := connect.Open(topology.target.URL, connect.WithName("bench"), connect.WithDialer(dialer(topology.delay)))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
		keys := make([]string, 64)
		for i := range keys {
			keys[i] = fmt.Sprint("bench:", i)
			conn.Client().Set(b.Context(), keys[i], 1, 10*time.Minute)
		}
		for _, command := range []string{"GET", "EVALSHA"} {
			for _, n := range []int{1, 16, 64, 256} {
				b.Run(fmt.Sprintf("%s/%s/n=%d", topology.name, command, n), func(b *testing.B) {
					clients := []commands{plain, conn.Client(), conn.Batched()}
					done := make([][]float64, len(clients))
					for b.Loop() {
						for i, rdb := range clients {
							done[i] = append(done[i], bench.Throughput(n, func(i int) func() {
								return func() {
									key := keys[i%len(keys)]
									i++
									err := error(nil)
									if command == "GET" {
										err = rdb.Get(b.Context(), key).Err()
									} else {
										err = counter.Run(b.Context(), rdb, []string{key}).Err()
									}
									if err != nil {
										b.Error(err)
									}
								}
							}))
						}
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(bench.Median(done[0], nil), "go-redis/s")
					b.ReportMetric(bench.Median(done[1], done[0]), "connect/go-redis")
					b.ReportMetric(bench.Median(done[2], done[0]), "batched/go-redis")
				})
			}
		}
	}
}
