package breaker_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/breaker"
)

// Whatever calls run at once: a breaker opens and closes in turn, each change is
// reported once, and it is closed when all is well again.
func TestChangesAreReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			b       breaker.Breaker
			mu      sync.Mutex
			changes = map[breaker.Change]int{}
			wg      sync.WaitGroup
		)
		for range 16 {
			wg.Go(func() {
				for i := range 400 {
					ticket, ok := b.Allow()
					if !ok {
						time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // of the bubble
						continue
					}
					outcome := breaker.Outcome(rand.IntN(3))
					if i%20 > 10 { // outages and the time between them
						outcome = breaker.Failed
					}
					c := b.Report(ticket, outcome, io.EOF)
					mu.Lock()
					changes[c]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		open := 0
		if b.Open() {
			open = 1
		}
		opened, _ := b.Counts()
		if changes[breaker.Opened] == 0 || changes[breaker.Opened] != changes[breaker.Closed]+open {
			t.Errorf("opened %d times, closed %d times, and open is %d", changes[breaker.Opened], changes[breaker.Closed], open)
		}
		if int(opened) != changes[breaker.Opened] {
			t.Errorf("%d openings are counted, %d were reported", opened, changes[breaker.Opened])
		}
		time.Sleep(1201 * time.Millisecond)
		if probe, ok := b.Allow(); ok {
			b.Report(probe, breaker.Answered, nil)
		}
		if _, ok := b.Allow(); !ok || b.Open() {
			t.Error("not closed after an answer")
		}
	})
}

// Of a set, First and Last alternate, however many nodes change at once.
func TestOutagesBeginAndEndOnce(t *testing.T) {
	for name, rdb := range map[string]any{
		"cluster": &fakeCluster{masters: map[string]*redis.Client{"0": node(t, "a:1"), "1": node(t, "b:1"), "2": node(t, "c:1")}},
		"ring":    fakeRing{"0": node(t, "a:1"), "1": node(t, "b:1"), "2": node(t, "c:1")},
		"unknown": struct{}{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := breaker.NewSet(rdb)
				call(s, "0", nil)
				var (
					mu          sync.Mutex
					first, last int
				)
				everyone := func(err func() error) {
					var wg sync.WaitGroup
					for g := range 8 {
						wg.Go(func() {
							for i := range 60 {
								e, _ := call(s, fmt.Sprint((g+i)%3), err())
								mu.Lock()
								if e.First {
									first++
								}
								if e.Last {
									last++
								}
								mu.Unlock()
							}
						})
					}
					wg.Wait()
				}
				for range 5 {
					everyone(func() error { return io.EOF })
					if first != last+1 {
						t.Fatalf("during an outage: %d began, %d ended", first, last)
					}
					time.Sleep(1201 * time.Millisecond)
					everyone(func() error { return nil })
					if first != last {
						t.Fatalf("after an outage: %d began, %d ended", first, last)
					}
				}
				if first != 5 {
					t.Errorf("%d outages, want 5", first)
				}
			})
		})
	}
}

// Calls that ran at the same time are one failure, but for connections that are refused:
// that is no pause, and each says so.
func TestRefusedConnectionsCountEach(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, tt := range map[string]struct {
		err  error
		open bool
	}{
		"refused":           {refused, true},
		"refused, in words": {fmt.Errorf("connection pool: failed to dial after 1 attempts: %w", refused), true},
		"reset":             {&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, false},
		"closed":            {io.EOF, false},
		"dial timed out":    {&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, false},
	} {
		var b breaker.Breaker
		var tickets []breaker.Ticket
		for range 5 {
			ticket, _ := b.Allow()
			tickets = append(tickets, ticket)
		}
		for _, ticket := range tickets {
			b.Report(ticket, breaker.Failed, tt.err)
		}
		if b.Open() != tt.open {
			t.Errorf("%s: open %v, want %v", name, b.Open(), tt.open)
		}
	}
}
