package lockmw_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// programs are the servers that REDISHTTP_SERVERS names, as for make matrix, or those
// of Debian.
func programs() []string {
	if list := os.Getenv("REDISHTTP_SERVERS"); list != "" {
		return strings.Fields(list)
	}
	return []string{"redis-server", "valkey-server"}
}

// stat is what the server says of a command: how often it ran, and for how long in all.
func stat(b *testing.B, rdb *redis.Client, command string) (calls, usec float64) {
	b.Helper()
	info, err := rdb.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
	_, _ = fmt.Sscanf(rest, "%f,usec=%f", &calls, &usec)
	return calls, usec
}

// BenchmarkRelease releases locks without waiters, on each server, by release.lua,
// which has the queue in its keys, and by what a lock without waiters takes. An iteration
// is a round of both. Reported are how many times as many locks a second the
// latter releases, alone and with the acquire before, and what both cost the server.
func BenchmarkRelease(b *testing.B) {
	for _, program := range programs() {
		for _, goroutines := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/n=%d", strings.ReplaceAll(strings.Trim(program, "/"), "/", "-"), goroutines), func(b *testing.B) {
				path, err := exec.LookPath(program)
				if err != nil {
					b.Skipf("%s is not there: name servers that are in REDISHTTP_SERVERS", program)
				}
				rdb := redistest.NewServer(b, redistest.WithProgram(path)).Client(b)
				l, err := lockmw.New(rdb, lockmw.WithTimeout(2*time.Second)) // a busy machine stops no round
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = l.Close(context.Background()) })
				releases(b, rdb, l, goroutines)
			})
		}
	}
}

// releases are the rounds of one server.
func releases(b *testing.B, rdb *redis.Client, l *lockmw.Locker, goroutines int) {
	const locks = 8192
	ways := []func(*lockmw.Lock){(*lockmw.Lock).Contend, func(*lockmw.Lock) {}}
	var alone, both, cost [2][]float64
	hold := func(prepare func(*lockmw.Lock)) (all [][]*lockmw.Lock) {
		for j := range goroutines {
			var mine []*lockmw.Lock
			for n := range locks / goroutines {
				k, err := l.Acquire(b.Context(), fmt.Sprint(j, "-", n))
				if err != nil {
					b.Fatal(err)
				}
				prepare(k)
				mine = append(mine, k)
			}
			all = append(all, mine)
		}
		return all
	}
	release := func(all [][]*lockmw.Lock) (rate float64) {
		start := time.Now()
		var wg sync.WaitGroup
		for _, mine := range all {
			wg.Go(func() {
				for _, k := range mine {
					if err := k.Release(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return locks / time.Since(start).Seconds()
	}
	for _, prepare := range ways { // connections, scripts and what the server has
		release(hold(prepare))
	}
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			i = (i + round) % len(ways)
			all := hold(ways[i])
			if err := rdb.ConfigResetStat(b.Context()).Err(); err != nil {
				b.Fatal(err)
			}
			alone[i] = append(alone[i], release(all))
			calls, usec := stat(b, rdb, "evalsha")
			if calls < locks { // SET … IFEQ
				calls, usec = stat(b, rdb, "set")
			}
			cost[i] = append(cost[i], usec/calls)
		}
		for i := range ways {
			i = (i + round) % len(ways)
			both[i] = append(both[i], bench.Throughput(goroutines, func(j int) func() {
				return func() {
					k, err := l.Acquire(b.Context(), fmt.Sprint(j))
					if err != nil {
						b.Error(err)
						return
					}
					ways[i](k)
					if err := k.Release(b.Context()); err != nil {
						b.Error(err)
					}
				}
			}))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(alone[0], nil), "release.lua/s")
	b.ReportMetric(bench.Median(alone[1], alone[0]), "release")
	b.ReportMetric(bench.Median(both[1], both[0]), "acquire+release")
	b.ReportMetric(bench.Median(cost[0], nil), "µs/release.lua")
	b.ReportMetric(bench.Median(cost[1], nil), "µs/release")
}
