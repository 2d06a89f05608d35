package lockmw_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// BenchmarkContended has 64 goroutines with a section of a millisecond each on one key, in
// one process, and compares with a sync.Mutex around the same section in the
// same run. Reported are the locks per second of the mutex, how many times that
// ours serves, the Redis commands a lock, and how much more often the luckiest
// goroutine was served than the unluckiest.
func BenchmarkContended(b *testing.B) {
	const goroutines, moment = 64, time.Second
	rdb := redistest.NewServer(b).Client(b)
	l, err := lockmw.New(rdb)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close(context.Background()) })
	count := redistest.Count(rdb)
	section := func() {
		for start := time.Now(); time.Since(start) < time.Millisecond; {
			<-time.After(100 * time.Microsecond)
		}
	}
	run := func(enter func() func()) (perSecond, ratio float64, served int) {
		var wg sync.WaitGroup
		each := make([]int, goroutines)
		start := time.Now()
		for i := range each {
			wg.Go(func() {
				for time.Since(start) < moment {
					leave := enter()
					section()
					leave()
					each[i]++
				}
			})
		}
		wg.Wait()
		for _, n := range each {
			served += n
		}
		return float64(served) / time.Since(start).Seconds(), float64(slices.Max(each)) / float64(max(slices.Min(each), 1)), served
	}
	var mutex sync.Mutex
	var base, ratios, fair []float64
	locks := 0
	for b.Loop() {
		perSecond, _, _ := run(func() func() { mutex.Lock(); return mutex.Unlock })
		base = append(base, perSecond)
		ours, ratio, n := run(func() func() {
			k, err := l.Acquire(context.Background(), "key")
			if err != nil {
				b.Error(err)
				return func() {}
			}
			return func() { _ = k.Release(context.Background()) }
		})
		ratios, fair = append(ratios, ours/perSecond), append(fair, ratio)
		locks += n
	}
	commands := 0
	for _, n := range count.Commands() {
		commands += n
	}
	slices.Sort(base)
	slices.Sort(ratios)
	slices.Sort(fair)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(base[len(base)/2], "mutex/s")
	b.ReportMetric(ratios[len(ratios)/2], "ours/mutex")
	b.ReportMetric(fair[len(fair)/2], "most/least")
	b.ReportMetric(float64(commands)/float64(locks), "commands/lock")
}

// BenchmarkUncontended has each goroutine lock a key of its own, and compares
// with what a lock costs at least: SET NX PX, and a script that compares and
// deletes. An iteration is a round in which each works for a moment in turn.
func BenchmarkUncontended(b *testing.B) {
	rdb := redistest.NewServer(b).Client(b)
	l, err := lockmw.New(rdb)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close(context.Background()) })
	release := redis.NewScriptServerSHA(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
	bare := func(key string) {
		if ok, err := rdb.SetNX(context.Background(), key, "me", 10*time.Second).Result(); !ok || err != nil {
			b.Error(ok, err)
		}
		_ = release.Run(context.Background(), rdb, []string{key}, "me").Err()
	}
	ours := func(key string) {
		k, err := l.TryAcquire(context.Background(), key)
		if err != nil {
			b.Error(err)
			return
		}
		_ = k.Release(context.Background())
	}
	pairs := func(n int, fn func(key string)) float64 {
		const moment = 200 * time.Millisecond
		var count atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for i := range n {
			wg.Go(func() {
				for key := fmt.Sprint("bench", i); time.Since(start) < moment; count.Add(1) {
					fn(key)
				}
			})
		}
		wg.Wait()
		return float64(count.Load()) / time.Since(start).Seconds()
	}
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			var base, ratios []float64
			for b.Loop() {
				theirs := pairs(n, bare)
				base, ratios = append(base, theirs), append(ratios, pairs(n, ours)/theirs)
			}
			slices.Sort(base)
			slices.Sort(ratios)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(base[len(base)/2], "bare/s")
			b.ReportMetric(ratios[len(ratios)/2], "ours/bare")
		})
	}
}
