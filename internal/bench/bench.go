// Package bench is what the comparing benchmarks share: contenders work for a
// moment in turn, round after round in one run, and what is reported are
// medians of the ratios within a round. Absolute numbers of a busy machine say
// little.
package bench

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// moment is how long a contender works in a round.
const moment = 100 * time.Millisecond

// Throughput has n goroutines work for a moment and returns calls per second.
// Each gets its own call from begin.
func Throughput(n int, begin func(i int) (call func())) float64 {
	var count atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			call, mine := begin(i), int64(0)
			for time.Since(start) < moment {
				for range 4 { // looking at the clock costs, too
					call()
					mine++
				}
			}
			count.Add(mine)
		})
	}
	wg.Wait()
	return float64(count.Load()) / time.Since(start).Seconds()
}

// Median of values, each divided by its base in the same round if there is one.
func Median(values, base []float64) float64 {
	all := slices.Clone(values)
	for i := range base {
		all[i] /= base[i]
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Discard is a ResponseWriter that costs nothing and remembers the status.
type Discard struct {
	H      http.Header
	Status int
}

// NewDiscard returns one with an empty header.
func NewDiscard() *Discard { return &Discard{H: http.Header{}, Status: http.StatusOK} }

// Header returns the header.
func (d *Discard) Header() http.Header { return d.H }

// Write drops p.
func (d *Discard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader notes the status.
func (d *Discard) WriteHeader(status int) { d.Status = status }
