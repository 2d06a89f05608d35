package redigoconn_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
)

// BenchmarkGuarded compares guarded commits by SET … IFEQ with those by the script, in
// one run, on each server of REDISHTTP_SERVERS: an iteration is a round in which each
// works for a moment in turn, on a server of its own, and every goroutine has a key of
// its own. Reported are the commits per second by the script and, as medians over the
// rounds, how many times that SET … IFEQ does; and the server's time for each by INFO
// commandstats. On a server without the command both use the script. Use -benchtime 20x.
func BenchmarkGuarded(b *testing.B) {
	for _, program := range redistest.Programs() {
		for _, size := range []int{600, 4096} {
			for _, n := range []int{1, 64} {
				b.Run(fmt.Sprintf("server=%s/%dB/n=%d", strings.ReplaceAll(redistest.VersionOf(program), " ", "-"), size, n), func(b *testing.B) {
					script, ifeq := newCommits(b, program, n, size), newCommits(b, program, n, size)
					script.rdb.AddHook(&rejecting{on: true})
					var by, native []float64
					for b.Loop() {
						by = append(by, script.throughput(b))
						native = append(native, ifeq.throughput(b))
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(bench.Median(by, nil), "script/s")
					b.ReportMetric(bench.Median(native, by), "ifeq/script")
					b.ReportMetric(script.serverTime(b), "script-server-us")
					b.ReportMetric(ifeq.serverTime(b), "ifeq-server-us")
				})
			}
		}
	}
}

// commits are the guarded commits of n goroutines.
type commits struct {
	rdb   *goredis.Client
	n     int
	begin func(b *testing.B, i int) func()
}

func newCommits(b *testing.B, program string, n, size int) *commits {
	s := redistest.NewServer(b, redistest.WithProgram(program))
	o := s.Options()
	o.ContextTimeoutEnabled, o.PoolSize = true, 100
	rdb := goredis.NewClient(o)
	b.Cleanup(func() { rdb.Close() })
	d := dialer(b, rdb, false)
	values := [2][]byte{bytes.Repeat([]byte("a"), size), bytes.Repeat([]byte("b"), size)}
	until := time.Now().Add(time.Hour)
	turns := make([]int, n) // which of the values a key has
	for i := range n {
		if err := commit(d.Conn(), fmt.Sprint(i), string(values[0]), until); err != nil {
			b.Fatal(err)
		}
	}
	return &commits{rdb: rdb, n: n, begin: func(b *testing.B, i int) func() {
		conn, key := d.Conn(), fmt.Sprint(i)
		return func() {
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
			defer cancel()
			conn.Bind(ctx)
			conn.Guard(values[turns[i]])
			turns[i] = 1 - turns[i]
			_ = conn.Send("MULTI")
			_ = conn.Send("SET", key, values[turns[i]])
			_ = conn.Send("PEXPIREAT", key, until.UnixMilli())
			if _, err := conn.Do("EXEC"); err != nil {
				b.Error(err)
			}
			conn.Unbind()
		}
	}}
}

func (c *commits) throughput(b *testing.B) float64 {
	return bench.Throughput(c.n, func(i int) func() { return c.begin(b, i) })
}

var spent = regexp.MustCompile(`cmdstat_(set|evalsha):calls=(\d+),usec=(\d+)`)

// serverTime is the server's time for a commit in µs: of EVALSHA, which has that of the
// commands that the script calls, or of SET.
func (c *commits) serverTime(b *testing.B) float64 {
	info := c.rdb.Info(b.Context(), "commandstats").Val()
	times := map[string]float64{}
	for _, m := range spent.FindAllStringSubmatch(info, -1) {
		calls, _ := strconv.ParseFloat(m[2], 64)
		usec, _ := strconv.ParseFloat(m[3], 64)
		times[m[1]] = usec / calls
	}
	if us, ok := times["evalsha"]; ok {
		return us
	}
	return times["set"]
}
