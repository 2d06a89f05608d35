package lockbench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// BenchmarkUncontended has each goroutine lock a key of its own; an iteration is a
// round in which each contender works for a moment in turn. Reported is how many times the rate
// of the bare lock each reaches, and what a script costs the server.
func BenchmarkUncontended(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rdb := redistest.NewServer(b).Client(b)
			all := []contender{bare(rdb), ours(b, rdb), redsyncs(rdb), redislocks(rdb)}
			rates := make([][]float64, len(all))
			var cost []float64
			for b.Loop() {
				for i, c := range all {
					if err := rdb.ConfigResetStat(b.Context()).Err(); err != nil {
						b.Fatal(err)
					}
					rates[i] = append(rates[i], bench.Throughput(n, func(j int) func() {
						key := fmt.Sprint(c.name, j)
						return func() {
							unlock, err := c.lock(key)
							if err != nil {
								b.Error(err)
								return
							}
							unlock()
						}
					}))
					if c.name == "lockmw" {
						calls, usec := stat(b, rdb, "evalsha")
						cost = append(cost, float64(usec)/float64(calls))
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bench.Median(rates[0], nil), "bare/s")
			b.ReportMetric(bench.Median(cost, nil), "µs/script")
			for i, c := range all[1:] {
				b.ReportMetric(bench.Median(rates[i+1], rates[0]), c.name+"/bare")
			}
		})
	}
}

// stat is what the server says of a command: how often it ran, and for how long in all.
func stat(b testing.TB, rdb *redis.Client, command string) (calls, usec int) {
	info, err := rdb.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
	_, _ = fmt.Sscanf(rest, "%d,usec=%d", &calls, &usec)
	return calls, usec
}

// section is what is done under the lock: it lasts a millisecond.
func section() {
	for start := time.Now(); time.Since(start) < time.Millisecond; {
		<-time.After(100 * time.Microsecond)
	}
}

// contend has n goroutines lock one key until a time, and returns how often each did.
func contend(n int, until time.Time, c contender) (each []int, err error) {
	each = make([]int, n)
	var wg sync.WaitGroup
	var once sync.Once
	for i := range each {
		wg.Go(func() {
			for time.Now().Before(until) {
				unlock, e := c.lock("contended")
				if e != nil {
					once.Do(func() { err = e })
					return
				}
				section()
				unlock()
				each[i]++
			}
		})
	}
	wg.Wait()
	return each, err
}

func sum(all []int) (n int) {
	for _, v := range all {
		n += v
	}
	return n
}

// BenchmarkContended has 64 goroutines on one key in one process, sections of a millisecond.
// Reported are how many times the rate of a sync.Mutex each contender reaches, Redis
// commands a lock, and how much more often the luckiest goroutine was served than the unluckiest.
func BenchmarkContended(b *testing.B) {
	const goroutines, moment = 64, time.Second
	rdb := redistest.NewServer(b).Client(b)
	all := []contender{mutex(), ours(b, rdb), redsyncs(rdb), redislocks(rdb)}
	count := redistest.Count(rdb)
	rates, fair, commands := make([][]float64, len(all)), make([][]float64, len(all)), make([][]float64, len(all))
	for b.Loop() {
		for i, c := range all {
			count.Reset()
			start := time.Now()
			each, err := contend(goroutines, start.Add(moment), c)
			if err != nil {
				b.Fatal(c.name, err)
			}
			served, sent := sum(each), 0
			for _, n := range count.Commands() {
				sent += n
			}
			rates[i] = append(rates[i], float64(served)/time.Since(start).Seconds())
			fair[i] = append(fair[i], float64(slices.Max(each))/float64(max(slices.Min(each), 1)))
			commands[i] = append(commands[i], float64(sent)/float64(served))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(rates[0], nil), "mutex/s")
	for i, c := range all[1:] {
		b.ReportMetric(bench.Median(rates[i+1], rates[0]), c.name+"/mutex")
		b.ReportMetric(bench.Median(fair[i+1], nil), c.name+"-most/least")
		b.ReportMetric(bench.Median(commands[i+1], nil), c.name+"-commands/lock")
	}
}

// BenchmarkShortSections has four goroutines, of one instance and of two, on one key with
// nothing to do under the lock. Reported are how many times the rate of the bare lock without
// contention that is, and the waits above half a second in a thousand locks: those of
// waiters that nothing has woken.
func BenchmarkShortSections(b *testing.B) {
	const goroutines, moment, long = 4, time.Second, 500 * time.Millisecond
	for _, instances := range []int{1, 2} {
		b.Run(fmt.Sprintf("instances=%d", instances), func(b *testing.B) {
			rdb := redistest.NewServer(b).Client(b)
			free := bare(rdb)
			var all []contender
			for range instances {
				all = append(all, ours(b, rdb))
			}
			var base, rates, slept []float64
			for b.Loop() {
				base = append(base, bench.Throughput(1, func(int) func() {
					return func() {
						unlock, err := free.lock("free")
						if err != nil {
							b.Error(err)
							return
						}
						unlock()
					}
				}))
				start := time.Now()
				served, late := make([]int, goroutines), make([]int, goroutines)
				var wg sync.WaitGroup
				for i := range goroutines {
					wg.Go(func() {
						for time.Since(start) < moment {
							asked := time.Now()
							unlock, err := all[i%instances].lock("short")
							if err != nil {
								b.Error(err)
								return
							}
							if time.Since(asked) > long {
								late[i]++
							}
							unlock()
							served[i]++
						}
					})
				}
				wg.Wait()
				rates = append(rates, float64(sum(served))/time.Since(start).Seconds())
				slept = append(slept, 1000*float64(sum(late))/float64(max(sum(served), 1)))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bench.Median(base, nil), "bare/s")
			b.ReportMetric(bench.Median(rates, base), "lockmw/bare")
			b.ReportMetric(slices.Max(slept), "late/1000")
		})
	}
}

// compete is one of several processes: it tells how often each of its goroutines
// was served.
func compete(addr string) {
	rdb := client(addr)
	var c contender
	switch os.Getenv("LOCKBENCH_CONTENDER") {
	case "lockmw":
		l, err := lockmw.New(rdb)
		if err != nil {
			panic(err)
		}
		c = contender{"lockmw", func(key string) (func(), error) {
			k, err := l.Acquire(context.Background(), key)
			return func() { _ = k.Release(context.Background()) }, err
		}}
	case "redsync":
		c = redsyncs(rdb)
	case "redislock":
		c = redislocks(rdb)
	}
	until, _ := strconv.ParseInt(os.Getenv("LOCKBENCH_UNTIL"), 10, 64)
	n, _ := strconv.Atoi(os.Getenv("LOCKBENCH_GOROUTINES"))
	each, err := contend(n, time.UnixMilli(until), c)
	fmt.Println(err)
	for _, v := range each {
		fmt.Println(v)
	}
}

// BenchmarkTwoProcesses has two processes of 32 goroutines each on one key.
func BenchmarkTwoProcesses(b *testing.B) {
	const processes, goroutines, moment = 2, 32, time.Second
	s := redistest.NewServer(b)
	rdb := s.Client(b)
	names := []string{"lockmw", "redsync", "redislock"}
	var base []float64
	rates, fair, commands := make([][]float64, len(names)), make([][]float64, len(names)), make([][]float64, len(names))
	for b.Loop() {
		start := time.Now()
		each, _ := contend(processes*goroutines, start.Add(moment), mutex())
		base = append(base, float64(sum(each))/time.Since(start).Seconds())
		for i, name := range names {
			if err := rdb.ConfigResetStat(b.Context()).Err(); err != nil {
				b.Fatal(err)
			}
			until := time.Now().Add(200*time.Millisecond + moment)
			var all []int
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range processes {
				wg.Go(func() {
					each, err := process(s.Addr(), name, goroutines, until)
					if err != nil {
						b.Error(name, err)
					}
					mu.Lock()
					all = append(all, each...)
					mu.Unlock()
				})
			}
			start := until.Add(-moment)
			wg.Wait()
			if len(all) != processes*goroutines {
				b.Fatalf("%s: %d goroutines", name, len(all))
			}
			sent := 0
			for _, command := range []string{"evalsha", "eval", "set"} {
				calls, _ := stat(b, rdb, command)
				sent += calls
			}
			if name == "lockmw" { // SET counts within scripts as well; of a server with SET … IFEQ some releases are missing here
				sent, _ = stat(b, rdb, "evalsha")
			}
			rates[i] = append(rates[i], float64(sum(all))/time.Since(start).Seconds())
			fair[i] = append(fair[i], float64(slices.Max(all))/float64(max(slices.Min(all), 1)))
			commands[i] = append(commands[i], float64(sent)/float64(sum(all)))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(base, nil), "mutex/s")
	for i, name := range names {
		b.ReportMetric(bench.Median(rates[i], base), name+"/mutex")
		b.ReportMetric(bench.Median(fair[i], nil), name+"-most/least")
		b.ReportMetric(bench.Median(commands[i], nil), name+"-commands/lock")
	}
}

// process runs compete in a process of its own.
func process(addr, name string, goroutines int, until time.Time) (each []int, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCKBENCH_ADDR="+addr, "LOCKBENCH_CONTENDER="+name, fmt.Sprint("LOCKBENCH_GOROUTINES=", goroutines), fmt.Sprint("LOCKBENCH_UNTIL=", until.UnixMilli()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	if text := lines.Text(); text != "<nil>" {
		err = fmt.Errorf("a process: %s", text)
	}
	for lines.Scan() {
		n, _ := strconv.Atoi(lines.Text())
		each = append(each, n)
	}
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return each, err
}
