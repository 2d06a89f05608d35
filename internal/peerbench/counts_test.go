package peerbench

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
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
			trips, sent, executed := c.onTheWire(b)
			if i > 0 {
				b.ReportMetric(trips, c.name+"-trips")
				b.ReportMetric(sent, c.name+"-sent")
				b.ReportMetric(executed, c.name+"-executed")
			}
			b.ReportMetric(c.allocations(b), c.name+"-allocs")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// onTheWire counts round trips and commands for a call, and those executed.
func (c contender) onTheWire(tb testing.TB) (trips, sent, executed float64) {
	e := newEnv(tb, redistest.NewServer(tb), c.name)
	e.wire.counted = true
	call := c.start(e)(0)
	repeat(tb, c.name, warm, call)
	before := settle(tb, e.probe)
	e.wire.reset()
	repeat(tb, c.name, count, call)
	after := settle(tb, e.probe)
	return float64(e.wire.trips.Load()) / count, float64(e.wire.commands.Load()) / count, float64(after-before) / count
}

// allocations are those of a call.
func (c contender) allocations(tb testing.TB) float64 {
	e := newEnv(tb, redistest.NewServer(tb), c.name)
	call := c.start(e)(0)
	repeat(tb, c.name, warm, call)
	settle(tb, e.probe)
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

// settle waits until the server executes nothing any more, and returns how many
// commands it has executed, also those inside scripts.
func settle(tb testing.TB, rdb *redis.Client) int {
	tb.Helper()
	last, same := -1, 0
	for range 500 {
		n, err := executed(tb.Context(), rdb)
		if err != nil {
			tb.Fatal(err)
		}
		if same++; n != last {
			last, same = n, 0
		}
		if same == 5 {
			return n
		}
		<-time.After(10 * time.Millisecond)
	}
	tb.Fatal("the server is never idle")
	return 0
}

func executed(ctx context.Context, rdb *redis.Client) (n int, err error) {
	info, err := rdb.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		name, rest, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "cmdstat_"), ":calls=")
		if !ok || isHandshake(name) {
			continue
		}
		var calls int
		if _, err := fmt.Sscanf(rest, "%d,", &calls); err != nil {
			return 0, err
		}
		n += calls
	}
	return n, lines.Err()
}
