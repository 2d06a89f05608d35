package peerbench

import (
	"context"
	"net/http"
	"slices"
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
	for group, scenarios := range groups {
		for _, s := range scenarios() {
			t.Run(group+"/"+s.name, func(t *testing.T) {
				redis := s.topology(t)
				for _, c := range s.contenders() {
					workTogether(t, c, newEnv(t, redis, c.name))
				}
			})
		}
	}
}

func workTogether(t *testing.T, c contender, e *env) {
	const goroutines, times = 4, 5
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

// A call of GET is one command and one round trip, and a pipeline of three is too. What
// is sent after the last byte is not waited for.
func TestCountsOfWhatIsKnown(t *testing.T) {
	for _, known := range []struct {
		contender contender
		want      usage
	}{
		{get(10), usage{1, 1, 1, 1}},
		{threeGets(false), usage{3, 3, 3, 3}},
		{threeGets(true), usage{1, 1, 3, 3}},
		{afterwards(), usage{3, 1, 3, 4}},
	} {
		if got := known.contender.onTheWire(t, standalone(t)); got != known.want {
			t.Errorf("%s: got %+v, want %+v", known.contender.name, got, known.want)
		}
		if n := known.contender.allocations(t, standalone(t)); n < 1 || n > 100 {
			t.Errorf("%s: %v allocations", known.contender.name, n)
		}
	}
}

// afterwards asks Redis before its response, after it, and when it has returned.
func afterwards() contender {
	return contender{"afterwards", func(e *env) begin {
		rdb := e.goredis()
		set := func() {
			if err := rdb.Set(context.Background(), "afterwards", 1, time.Minute).Err(); err != nil {
				e.tb.Error(err)
			}
		}
		var later sync.WaitGroup
		e.tb.Cleanup(later.Wait)
		body := []byte("body")
		return visit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			set()
			_, _ = w.Write(body)
			e.check(rdb.Eval(context.Background(), "return redis.call('DEL', KEYS[1])", []string{"afterwards"}).Err())
			later.Go(set)
		}), body)
	}}
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

// Commands are found however writes cut them, and a handshake is none.
func TestCommandsInAnyPieces(t *testing.T) {
	const stream = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\n*1\r\n$4\r\n*1\r\n$4\r\nTIME\r\n*2\r\n$3\r\nget\r\n$0\r\n\r\n"
	for size := 1; size <= len(stream); size++ {
		var p requests
		n := 0
		for piece := range slices.Chunk([]byte(stream), size) {
			n += p.feed(piece)
		}
		if n != 3 {
			t.Errorf("in pieces of %d bytes: %d commands, want 3", size, n)
		}
	}
}
