package connect_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

func dialer(delay time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil || delay == 0 {
			return conn, err
		}
		return bench.Slow(conn, delay), nil
	}
}

type commands interface {
	redis.Scripter
	Get(ctx context.Context, key string) *redis.StringCmd
	Pipeline() redis.Pipeliner
}

var counter = redis.NewScriptServerSHA(`local v = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], (tonumber(v) or 0) + 1, 'PX', 60000)
return v`)

// works are what a caller does with a key again and again. The last two are what a
// chain of limiter, session and cache asks.
var works = []struct {
	name string
	call func(ctx context.Context, rdb commands, key string, n int) error
}{
	{"GET", func(ctx context.Context, rdb commands, key string, _ int) error { return rdb.Get(ctx, key).Err() }},
	{"EVALSHA", func(ctx context.Context, rdb commands, key string, _ int) error {
		return counter.Run(ctx, rdb, []string{key}).Err()
	}},
	{"mixed/GET+EVALSHA", func(ctx context.Context, rdb commands, key string, n int) error {
		if n%2 == 0 {
			return rdb.Get(ctx, key).Err()
		}
		return bounded.New(rdb.(bounded.Client)).Run(ctx, counter, []string{key}).Err()
	}},
	{"mixed/chain-one-by-one", func(ctx context.Context, rdb commands, key string, _ int) error {
		cmds := chain(ctx, key)
		process := rdb.(bounded.Client).Process
		if err := errors.Join(process(ctx, once(cmds[0])), process(ctx, cmds[1])); err != nil {
			return err
		}
		return pipeline(ctx, rdb, cmds[2:])
	}},
	{"mixed/chain-together", func(ctx context.Context, rdb commands, key string, _ int) error {
		cmds := chain(ctx, key)
		if group, ok := rdb.(interface {
			ProcessAll(ctx context.Context, cmds ...redis.Cmder) error
		}); ok {
			return errors.Join(group.ProcessAll(ctx, cmds...), cmds[0].Err(), cmds[1].Err())
		}
		return pipeline(ctx, rdb, cmds)
	}},
	{"mixed/everything", func(ctx context.Context, rdb commands, key string, n int) error {
		switch n % 4 {
		case 0:
			return rdb.Get(ctx, key).Err()
		case 1:
			return rdb.(bounded.Client).Process(ctx, once(chain(ctx, key)[0]))
		case 2:
			return pipeline(ctx, rdb, chain(ctx, key)[2:])
		}
		cmds := chain(ctx, key)
		if group, ok := rdb.(interface {
			ProcessAll(ctx context.Context, cmds ...redis.Cmder) error
		}); ok {
			return group.ProcessAll(ctx, cmds...)
		}
		return pipeline(ctx, rdb, cmds)
	}},
}

// noRetry is how the limiter and the locks mark their scripts.
type noRetry struct{ *redis.Cmd }

func (noRetry) NoRetry() bool { return true }

func once(cmd redis.Cmder) redis.Cmder { return noRetry{cmd.(*redis.Cmd)} }

// chain is a limiter's script, a session's GET and the look-up of a cache.
func chain(ctx context.Context, key string) []redis.Cmder {
	script := redis.NewCmd(ctx, "evalsha", counter.Hash(), 1, key)
	script.SetFirstKeyPos(3)
	return []redis.Cmder{
		script, redis.NewStringCmd(ctx, "get", key),
		redis.NewStringSliceCmd(ctx, "smembers", "{"+key+"}s"), redis.NewSliceCmd(ctx, "hmget", "{"+key+"}h", "a", "b"),
		redis.NewStringCmd(ctx, "get", "{"+key+"}b"), redis.NewDurationCmd(ctx, time.Millisecond, "pttl", "{"+key+"}b"),
	}
}

func pipeline(ctx context.Context, rdb commands, cmds []redis.Cmder) error {
	pipe := rdb.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// BenchmarkBatched compares clients in one run: plain go-redis with its
// defaults, ours, and ours with batching. An iteration is a round in which each
// of them works for a moment in turn; reported are a bare GET's calls per second
// of go-redis and, as medians over the rounds, how many times that the others do.
// Machines are noisy: run it with -benchtime 20x and look at the ratios.
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
			conn.Client().SAdd(b.Context(), "{"+keys[i]+"}s", "accept", "cookie")
			conn.Client().HSet(b.Context(), "{"+keys[i]+"}h", "a", 1, "b", 2)
			conn.Client().Set(b.Context(), "{"+keys[i]+"}b", strings.Repeat("x", 1024), 10*time.Minute)
			if err := counter.Run(b.Context(), conn.Client(), []string{keys[i]}).Err(); err != nil && !errors.Is(err, redis.Nil) {
				b.Fatal(err)
			}
		}
		for _, work := range works {
			for _, n := range []int{1, 16, 64, 256} {
				b.Run(fmt.Sprintf("%s/%s/n=%d", topology.name, work.name, n), func(b *testing.B) {
					measure := func(rdb commands, call func(ctx context.Context, rdb commands, key string, n int) error) float64 {
						return bench.Throughput(n, func(i int) func() {
							return func() {
								i++
								if err := call(b.Context(), rdb, keys[i%len(keys)], i); err != nil {
									b.Error(err)
								}
							}
						})
					}
					var get, ours, batched []float64
					for b.Loop() {
						get = append(get, measure(plain, works[0].call))
						ours = append(ours, measure(conn.Client(), work.call))
						batched = append(batched, measure(conn.Batched(), work.call))
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(bench.Median(get, nil), "go-redis-GET/s")
					b.ReportMetric(bench.Median(ours, get), "connect/GET")
					b.ReportMetric(bench.Median(batched, get), "batched/GET")
				})
			}
		}
	}
}
