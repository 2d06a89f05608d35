package peerbench

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	warm  = 30 // calls that fill pools and script caches
	count = 50 // calls that are counted
)

// counts reports what one call of a single caller costs, with what is done for it
// after its response.
func (s scenario) counts(b *testing.B) {
	counted := false
	for b.Loop() {
		if counted {
			continue // another round would count the same
		}
		counted = true
		for i, c := range s.contenders() {
			u := c.onTheWire(b, s.topology(b))
			if i > 0 {
				b.ReportMetric(u.trips, c.name+"-trips")
				b.ReportMetric(u.waited, c.name+"-waited")
				b.ReportMetric(u.sent, c.name+"-sent")
				b.ReportMetric(u.executed, c.name+"-executed")
			}
			b.ReportMetric(c.allocations(b, s.topology(b)), c.name+"-allocs")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// usage is what a call costs Redis.
type usage struct {
	trips    float64 // round trips, also those after the response
	waited   float64 // of these, begun before the last byte of the response
	sent     float64 // commands
	executed float64 // commands, also those inside scripts
}

// onTheWire counts calls of a single caller.
func (c contender) onTheWire(tb testing.TB, t topology) usage {
	e := newEnv(tb, t, c.name)
	e.wire.counted = true
	call := c.start(e)(0)
	repeat(tb, c.name, warm, call)
	before := e.settle()
	e.wire.reset()
	waited, begun, seen := int64(0), int64(0), false
	last := func() {
		waited += e.wire.trips.Load() - begun
		seen = true
	}
	lastByte.Store(&last)
	defer lastByte.Store(nil)
	repeat(tb, c.name, count, func() error {
		begun, seen = e.wire.trips.Load(), false
		err := call()
		if !seen { // it has no response
			last()
		}
		e.quiet() // what is done after one call is not counted for the next
		return err
	})
	after := e.settle()
	per := func(n int64) float64 { return float64(n) / count }
	return usage{per(e.wire.trips.Load()), per(waited), per(e.wire.commands.Load()), per(int64(after - before))}
}

// quiet waits until nothing has been sent for a moment.
func (e *env) quiet() {
	for last := int64(-1); e.wire.commands.Load() != last; {
		last = e.wire.commands.Load()
		<-time.After(5 * time.Millisecond)
	}
}

// allocations are those of a call.
func (c contender) allocations(tb testing.TB, t topology) float64 {
	e := newEnv(tb, t, c.name)
	call := c.start(e)(0)
	repeat(tb, c.name, warm, call)
	e.settle()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	repeat(tb, c.name, 4*count, call)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / (4 * count)
}

func repeat(tb testing.TB, name string, n int, call func() error) {
	tb.Helper()
	for range n {
		if err := call(); err != nil {
			tb.Fatal(name, ": ", err)
		}
	}
}

// settle waits until Redis executes nothing any more, and returns how many
// commands it has executed, also those inside scripts.
func (e *env) settle() int {
	e.tb.Helper()
	last, same := -1, 0
	for range 500 {
		n := e.executed()
		if same++; n != last {
			last, same = n, 0
		}
		if same == 5 {
			return n
		}
		<-time.After(10 * time.Millisecond)
	}
	e.tb.Fatal("Redis is never idle")
	return 0
}

func (e *env) executed() (n int) {
	e.info("commandstats", func(name, value string) {
		if isHandshake(strings.TrimPrefix(name, "cmdstat_")) {
			return
		}
		var calls int
		if _, err := fmt.Sscanf(value, "calls=%d,", &calls); err == nil {
			n += calls
		}
	})
	return n
}
