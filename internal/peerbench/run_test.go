package peerbench

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A contender does the work of a scenario in its way.
type contender struct {
	name string
	// start makes its clients and handlers, and what they need in Redis. Each
	// goroutine gets its own call from the function that is returned. A call does
	// the work once and checks what came of it.
	start func(e *env) begin
}

type begin func(i int) (call func() error)

// A scenario is what contenders are compared in.
type scenario struct {
	name       string
	base       contender
	all        []contender
	goroutines []int
	delays     []time.Duration
	cluster    bool
	tails      bool // report the slowest hundredth
	uncounted  bool // a single caller has nothing to count
}

// turns are how often each contender works in a round.
const turns = 3

// allowed is the share of calls that may fail: a machine that stands still
// for longer than a deadline.
const allowed = 1.0 / 1000

func (s scenario) contenders() []contender { return append([]contender{s.base}, s.all...) }

func (s scenario) topology(tb testing.TB) topology {
	if s.cluster {
		return cluster(tb)
	}
	return standalone(tb)
}

// run is the benchmark of a scenario: its rounds, then its counts.
func (s scenario) run(b *testing.B) {
	b.Run(s.name, func(b *testing.B) {
		for _, delay := range s.delays {
			name := "loopback"
			if delay > 0 {
				name = "rtt=" + delay.String()
			}
			b.Run(name, func(b *testing.B) {
				redis := s.topology(b)
				all := s.contenders()
				field := make([]running, len(all))
				for i, c := range all {
					e := newEnv(b, redis, c.name)
					e.wire.delay = delay
					field[i] = running{name: c.name, env: e, begin: c.start(e)}
				}
				for _, n := range s.goroutines {
					b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { s.rounds(b, n, field) })
				}
			})
		}
		if !s.uncounted {
			b.Run("counts", s.counts)
		}
	})
}

// running is a contender that has started.
type running struct {
	name  string
	env   *env
	begin begin
	calls []func() error
	rounds
}

// rounds are the figures of a contender, one of each round.
type rounds struct{ rate, cpu, p50, p99 []float64 }

// rounds has n goroutines work with each contender in turn. A round has several turns,
// so that a machine that is busy for a while is so for all.
func (s scenario) rounds(b *testing.B, n int, started []running) {
	field := slices.Clone(started)
	for i := range field {
		field[i].calls = ready(n, field[i].begin)
	}
	for b.Loop() {
		round := make([]worked, len(field))
		for range turns {
			for i := range field {
				field[i].work(b, &round[i])
			}
		}
		for i := range field {
			field[i].add(&round[i])
		}
	}
	b.ReportMetric(0, "ns/op")
	base := field[0]
	b.ReportMetric(median(base.rate, nil), base.name+"/s")
	for _, r := range field {
		b.ReportMetric(median(r.p50, nil), r.name+"-p50-µs")
		b.ReportMetric(median(r.cpu, nil), r.name+"-cpu-µs")
		if s.tails {
			b.ReportMetric(median(r.p99, nil), r.name+"-p99-µs")
		}
		if r.name != base.name {
			b.ReportMetric(median(r.rate, base.rate), r.name+"/"+base.name)
		}
	}
}

func (r *rounds) add(w *worked) {
	r.rate = append(r.rate, float64(w.calls)/w.took.Seconds())
	r.cpu = append(r.cpu, float64(w.cpu)/float64(time.Microsecond)/float64(w.calls))
	r.p50, r.p99 = append(r.p50, w.quantile(0.50)), append(r.p99, w.quantile(0.99))
}

// work is a turn of a contender. Nearly all of its calls must succeed.
func (r running) work(b *testing.B, w *worked) {
	runtime.GC() // what the one before has left
	hidden, before := r.env.failed.Load(), r.env.cpu()
	work(r.calls, w)
	w.cpu += r.env.cpu() - before
	w.failed += r.env.failed.Load() - hidden
	if float64(w.failed) > max(allowed*float64(w.calls), 1) {
		b.Fatalf("%s: %d of %d calls failed: %v", r.name, w.failed, w.calls, w.err)
	}
}

// cpu is what this process and Redis have used. Other than the time of a call
// it hardly depends on what else the machine does.
func (e *env) cpu() time.Duration {
	var self syscall.Rusage
	e.check(syscall.Getrusage(syscall.RUSAGE_SELF, &self))
	all := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	e.info("cpu", func(name, value string) {
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			e.check(err)
			all += time.Duration(seconds * float64(time.Second))
		}
	})
	return all
}

// ready makes the calls of n goroutines.
func ready(n int, begin begin) []func() error {
	calls := make([]func() error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { calls[i] = begin(i) })
	}
	wg.Wait()
	return calls
}

// worked is what came of a round.
type worked struct {
	calls, failed int64
	err           error // one of those that failed
	took, cpu     time.Duration
	times         histogram
}

// work has each call repeated by a goroutine of its own for a turn.
func work(calls []func() error, all *worked) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for _, call := range calls {
		wg.Go(func() {
			var mine worked
			for begun := time.Now(); begun.Sub(start) < moment/turns; {
				if err := call(); err != nil {
					mine.failed, mine.err = mine.failed+1, err
				}
				end := time.Now()
				mine.times.add(end.Sub(begun))
				mine.calls++
				begun = end
			}
			mu.Lock()
			defer mu.Unlock()
			all.calls, all.failed = all.calls+mine.calls, all.failed+mine.failed
			all.err = cmp.Or(mine.err, all.err)
			for i, n := range mine.times {
				all.times[i] += n
			}
		})
	}
	wg.Wait()
	all.took += time.Since(start)
}

// quantile is a duration in microseconds.
func (w *worked) quantile(q float64) float64 {
	left := int64(q * float64(w.calls))
	for i, n := range w.times {
		if left -= int64(n); left < 0 {
			return boundary(i) / 1000
		}
	}
	return math.Inf(1)
}

// histogram counts durations in classes that are 1/32 wide.
type histogram [steps * 40]uint32

const steps = 32

func (h *histogram) add(d time.Duration) {
	v := uint64(max(d, steps))
	shift := bits.Len64(v) - bits.Len64(steps)
	i := shift*steps + int(v>>shift) - steps
	h[min(i, len(h)-1)]++
}

// boundary is the middle of class i, in nanoseconds.
func boundary(i int) float64 {
	shift := i / steps
	return (float64(i%steps+steps) + 0.5) * float64(uint64(1)<<shift)
}

// median of values, each divided by its base in the same round if there is one.
func median(values, base []float64) float64 {
	all := slices.Clone(values)
	for i := range base {
		all[i] /= base[i]
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// next is a number that no other caller gets.
func next() int64 { return numbers.Add(1) }

var numbers atomic.Int64
