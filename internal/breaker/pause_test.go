package breaker_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/breaker"
)

// paused is a server that answers in 5 ms, but nothing from its creation on for
// as long as the pause takes: calls that still wait then get their reply at its end.
type paused struct{ end time.Time }

func pauseFor(d time.Duration) paused { return paused{time.Now().Add(d)} }

func (p paused) call(budget time.Duration) error {
	left := time.Until(p.end)
	switch {
	case left > budget:
		time.Sleep(budget)
		return context.DeadlineExceeded
	case left > 0:
		time.Sleep(left)
	default:
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// load has n goroutines call one after the other, each for as long and with the
// budget that it is given in turn, and counts. In a bubble of synctest.
type load struct {
	n       int
	for_    time.Duration
	budgets []time.Duration
	call    func(g, i int, budget time.Duration) (asked bool, err error)

	failed, refused int
	mostFailed      int // of one goroutine
	refusedAfter    time.Duration
}

func (l *load) run() {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		start = time.Now()
	)
	for g := range l.n {
		wg.Go(func() {
			mine := 0
			time.Sleep(time.Duration(g) * time.Microsecond) // not all in the same instant
			for i := 0; time.Since(start) < l.for_; i++ {
				asked, err := l.call(g, i, l.budgets[(g+i)%len(l.budgets)])
				mu.Lock()
				switch {
				case !asked:
					if l.refused++; l.refused == 1 {
						l.refusedAfter = time.Since(start)
					}
				case err != nil:
					mine++
					l.failed, l.mostFailed = l.failed+1, max(l.mostFailed, mine)
				}
				mu.Unlock()
				if !asked {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// through has calls of a server reported to a breaker.
func through(b *breaker.Breaker, call func(budget time.Duration) error) func(g, i int, budget time.Duration) (bool, error) {
	return func(_, _ int, budget time.Duration) (bool, error) {
		ticket, ok := b.Allow()
		if !ok {
			return false, nil
		}
		err := call(budget)
		b.Report(ticket, breaker.Of(err, ticket.Took()), err)
		return true, err
	}
}

func ms(n ...int) []time.Duration {
	all := make([]time.Duration, len(n))
	for i := range n {
		all[i] = time.Duration(n[i]) * time.Millisecond
	}
	return all
}

// However many calls time out while a server pauses, it is one pause.
func TestAPauseOpensNothing(t *testing.T) {
	for _, tc := range []struct {
		budgets []time.Duration
		pause   int
	}{{ms(50), 80}, {ms(50), 150}, {ms(50), 200}, {ms(100), 150}, {ms(100), 240}, {ms(250), 450}, {ms(50, 100, 250), 200}} {
		for _, n := range []int{5, 64, 1000} {
			t.Run(fmt.Sprintf("budget=%v/pause=%dms/n=%d", tc.budgets, tc.pause, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var b breaker.Breaker
					pause := ms(tc.pause)[0]
					l := load{n: n, for_: pause + 50*time.Millisecond, budgets: tc.budgets, call: through(&b, pauseFor(pause).call)}
					l.run()
					if l.failed < min(n, 5) {
						t.Fatalf("%d calls failed: nothing was tested", l.failed)
					}
					if opened, _ := b.Counts(); opened != 0 || l.refused != 0 {
						t.Errorf("%d calls of one pause failed: opened %d times, %d calls were refused", l.failed, opened, l.refused)
					}
				})
			})
		}
	}
}

// A server that hangs is waited for at most five times by a single caller, and
// under load for two budgets, or for one and 200 ms if that is longer.
func TestAServerThatHangsIsCutOff(t *testing.T) {
	for _, budget := range ms(50, 100, 250, 1000) {
		for _, n := range []int{1, 2, 5, 64, 1000} {
			t.Run(fmt.Sprintf("budget=%v/n=%d", budget, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var b breaker.Breaker
					bound := 5 * budget
					if n >= 5 {
						bound = budget + max(budget, 200*time.Millisecond)
					}
					bound += 2 * time.Millisecond // the goroutines begin one after the other
					l := load{n: n, for_: bound + 500*time.Millisecond, budgets: []time.Duration{budget}, call: through(&b, pauseFor(time.Hour).call)}
					l.run()
					if l.refused == 0 || l.refusedAfter > bound {
						t.Errorf("%d calls were refused, the first after %v, want after %v at most", l.refused, l.refusedAfter, bound)
					}
					if each := int(bound / budget); l.mostFailed > each || l.failed > n*each {
						t.Errorf("%d calls of %d callers waited, %d of one; want %d of each", l.failed, n, l.mostFailed, bound/budget)
					}
				})
			})
		}
	}
}

// Of requests that come whether or not others wait, those that come within the
// same time wait.
func TestRequestsThatWaitAreBounded(t *testing.T) {
	const perSecond, budget = 5000, 100 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var (
			b               breaker.Breaker
			wg              sync.WaitGroup
			now, most, all  atomic.Int64
			server, refused = pauseFor(time.Hour), 0
		)
		for range perSecond / 2 {
			time.Sleep(time.Second / perSecond)
			ticket, ok := b.Allow()
			if !ok {
				refused++
				continue
			}
			all.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			wg.Go(func() {
				err := server.call(budget)
				now.Add(-1)
				b.Report(ticket, breaker.Failed, err)
			})
		}
		wg.Wait()
		if n := all.Load(); n > perSecond*3/10+5 || refused == 0 {
			t.Errorf("%d requests waited, %d did not; want those of 300 ms", n, refused)
		}
		if n := most.Load(); n > perSecond/10+1 {
			t.Errorf("%d waited at once, want those of one budget", n)
		}
	})
}

// Refusals take no time, so five of them are not a pause, nor is it waited for.
func TestRefusalsOpenAtOnce(t *testing.T) {
	for _, n := range []int{1, 64} {
		synctest.Test(t, func(t *testing.T) {
			var b breaker.Breaker
			l := load{n: n, for_: 100 * time.Millisecond, budgets: ms(50), call: through(&b, func(time.Duration) error {
				time.Sleep(500 * time.Microsecond)
				return io.EOF
			})}
			l.run()
			if l.refusedAfter == 0 || l.refusedAfter > 5*time.Millisecond || l.mostFailed > 6 {
				t.Errorf("%d callers: open after %v, %d refusals of one, want five", n, l.refusedAfter, l.mostFailed)
			}
		})
	}
}

// Connections that are reset all at once, by a proxy or a failover, are one event.
func TestConnectionsResetTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		reset := time.Now().Add(20 * time.Millisecond)
		l := load{n: 64, for_: 100 * time.Millisecond, budgets: ms(50), call: through(&b, func(time.Duration) error {
			if left := time.Until(reset); left > 0 {
				time.Sleep(left)
				return io.EOF
			}
			time.Sleep(time.Millisecond)
			return nil
		})}
		l.run()
		if opened, _ := b.Counts(); l.failed != 64 || opened != 0 {
			t.Errorf("%d calls failed, opened %d times; want 64 and none", l.failed, opened)
		}
	})
}

// A call that was lost alone long ago does not make a later pause an outage.
func TestALostCallBeforeAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		lost, _ := b.Allow()
		time.Sleep(5 * time.Second)
		b.Report(lost, breaker.Failed, context.DeadlineExceeded)
		l := load{n: 64, for_: 300 * time.Millisecond, budgets: ms(100), call: through(&b, pauseFor(150*time.Millisecond).call)}
		l.run()
		if l.failed < 5 || l.refused != 0 {
			t.Errorf("%d calls failed, %d were refused; want some and none", l.failed, l.refused)
		}
	})
}

// A set has the same rule for each node, and for all parts of a client of which it
// knows none.
func TestASetOverAPause(t *testing.T) {
	for name, tc := range map[string]struct {
		rdb  any
		keys int // of the node that pauses
	}{
		"cluster": {&fakeCluster{masters: map[string]*redis.Client{"0": node(t, "a:1"), "well": node(t, "b:1")}}, 1},
		"ring":    {fakeRing{"0": node(t, "a:1"), "well": node(t, "b:1")}, 1},
		"one":     {node(t, "a:1"), 100},
		"unknown": {struct{}{}, 1000},
	} {
		for _, pause := range ms(150, 60_000) {
			t.Run(fmt.Sprintf("%s/%v", name, pause), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := breaker.NewSet(tc.rdb)
					if tc.keys == 1 {
						call(s, "well", nil)
					}
					server := pauseFor(pause)
					l := load{n: 64, for_: 500 * time.Millisecond, budgets: ms(100), call: func(g, i int, budget time.Duration) (bool, error) {
						c, ok := s.Allow(fmt.Sprint((g*31 + i) % tc.keys))
						if !ok {
							return false, nil
						}
						err := server.call(budget)
						s.Report(c, err)
						return true, err
					}}
					l.run()
					switch isShort := pause < time.Second; {
					case l.failed < 64:
						t.Fatalf("%d calls failed: nothing was tested", l.failed)
					case isShort && l.refused != 0:
						t.Errorf("%d calls were refused for a pause", l.refused)
					case !isShort && (l.refused == 0 || l.refusedAfter > 302*time.Millisecond || l.mostFailed > 4):
						t.Errorf("hung: %d calls were refused, the first after %v, and %d failed of one goroutine; want after 0.3 s", l.refused, l.refusedAfter, l.mostFailed)
					}
					if _, ok := call(s, "well", nil); !ok && tc.keys == 1 {
						t.Error("the other node was cut off as well")
					}
				})
			})
		}
	}
}
