package peerbench

import (
	"sync"
	"testing"
	"time"
)

// groups are the scenarios of each benchmark.
var groups = map[string]func() []scenario{
	"Chain": chains, "Limiter": limiters, "Session": sessions, "Cache": caches, "Near": nears, "Lock": lockers,
}

// Each contender does what its scenario is about, also with others at the same time.
func TestContendersDoTheWork(t *testing.T) {
	const goroutines, times = 4, 5
	for group, scenarios := range groups {
		for _, s := range scenarios() {
			t.Run(group+"/"+s.name, func(t *testing.T) {
				redis := s.topology(t)
				for _, c := range s.contenders() {
					e := newEnv(t, redis, c.name)
					var wg sync.WaitGroup
					for i, call := range ready(goroutines, c.start(e)) {
						wg.Go(func() {
							for range times {
								if err := call(); err != nil {
									t.Errorf("%s: goroutine %d: %v", c.name, i, err)
								}
							}
						})
					}
					wg.Wait()
					if n := e.failed.Load(); n > 0 {
						t.Errorf("%s: %d calls to Redis failed", c.name, n)
					}
				}
			})
		}
	}
}

// A call of GET is one command and one round trip, and a pipeline of three is too.
func TestCountsOfWhatIsKnown(t *testing.T) {
	for _, known := range []struct {
		contender             contender
		trips, sent, executed float64
	}{
		{get(10), 1, 1, 1},
		{threeGets(false), 3, 3, 3},
		{threeGets(true), 1, 3, 3},
	} {
		trips, sent, executed := known.contender.onTheWire(t, standalone(t))
		if trips != known.trips || sent != known.sent || executed != known.executed {
			t.Errorf("%s: %v round trips, %v sent, %v executed; want %v, %v, %v", known.contender.name, trips, sent, executed, known.trips, known.sent, known.executed)
		}
		if n := known.contender.allocations(t, standalone(t)); n < 1 || n > 50 {
			t.Errorf("%s: %v allocations", known.contender.name, n)
		}
	}
}

// A quantile is off by no more than the width of its class.
func TestQuantiles(t *testing.T) {
	var w worked
	for i := range 1000 {
		w.times.add(time.Duration(i) * time.Microsecond)
		w.calls++
	}
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990} {
		if got := w.quantile(q); got < want*0.96 || got > want*1.04 {
			t.Errorf("quantile %v: got %v µs, want %v", q, got, want)
		}
	}
}
