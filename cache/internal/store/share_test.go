package store

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/redishttp/redishttp/internal/redistest"
)

// A request that arrives during a look-up must not get its result: a purge that precedes
// the request may have come after the look-up was sent.
func TestARequestJoinsALookUpThatBeginsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shares
		begun := 0
		hold := make(chan struct{})
		find := func() (Found, error) {
			begun++ // one at a time
			f := Found{Seq: int64(begun)}
			<-hold
			return f, nil
		}
		got := make([]int64, 6)
		var wg sync.WaitGroup
		request := func(n int) {
			wg.Go(func() {
				f, _ := s.do("key", find)
				got[n] = f.Seq
			})
			synctest.Wait()
		}
		request(0)
		request(1)
		request(2)
		request(3)
		if begun != 1 {
			t.Errorf("%d look-ups run at once", begun)
		}
		hold <- struct{}{} // the first ends, the second begins
		synctest.Wait()
		request(4)
		request(5)
		hold <- struct{}{}
		hold <- struct{}{}
		wg.Wait()
		if fmt.Sprint(got) != "[1 2 2 2 3 3]" || begun != 3 {
			t.Errorf("answers by %v, %d look-ups", got, begun)
		}
		if len(s.all) != 0 {
			t.Errorf("left: %v", s.all)
		}
	})
}

func TestLookUpsOfOtherKeysDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shares
		hold := make(chan struct{})
		go s.do("a", func() (Found, error) { <-hold; return Found{}, nil })
		synctest.Wait()
		if f, err := s.do("b", func() (Found, error) { return Found{Seq: 7}, nil }); f.Seq != 7 || err != nil {
			t.Errorf("got %+v, %v", f, err)
		}
		close(hold)
	})
}

func TestAllThatJoinGetTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shares
		hold, failed := make(chan struct{}), errors.New("failed")
		go s.do("key", func() (Found, error) { <-hold; return Found{}, nil })
		synctest.Wait()
		var errs atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := s.do("key", func() (Found, error) { return Found{}, failed }); errors.Is(err, failed) {
					errs.Add(1)
				}
			})
			synctest.Wait()
		}
		close(hold)
		wg.Wait()
		if errs.Load() != 3 {
			t.Errorf("%d of 3 got the error", errs.Load())
		}
		if f, err := s.do("key", func() (Found, error) { return Found{Seq: 1}, nil }); f.Seq != 1 || err != nil {
			t.Errorf("the next: got %+v, %v", f, err)
		}
	})
}

// A panic ends one request: those that wait for its look-up do theirs.
func TestALookUpThatPanicsBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shares
		hold := make(chan struct{})
		go func() {
			defer func() { _ = recover() }()
			_, _ = s.do("key", func() (Found, error) { <-hold; panic("as asked") })
		}()
		synctest.Wait()
		answer := make(chan int64, 1)
		go func() {
			f, _ := s.do("key", func() (Found, error) { return Found{Seq: 1}, nil })
			answer <- f.Seq
		}()
		synctest.Wait()
		close(hold)
		if got := <-answer; got != 1 || len(s.all) != 0 {
			t.Errorf("got %d, left %v", got, s.all)
		}
	})
}

// waiting counts the goroutines that wait for the look-up of another request.
func waiting() int {
	buf := make([]byte, 1<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if _, top, _ := strings.Cut(stack, "\n"); strings.Contains(stack, "[chan receive") && strings.HasPrefix(top, "github.com/redishttp/redishttp/cache/internal/store.(*shares).do(") {
			n++
		}
	}
	return n
}

// Requests share a look-up before they know which fields select: each gets its own
// variant, not that of the request that did the look-up.
func TestRequestsThatShareALookUpGetTheirOwnVariants(t *testing.T) {
	warm, rdb := alone(t)
	p := warm.Place(target("/"), "")
	for _, x := range []string{"X: 1", "X: 2"} {
		put(t, warm, p, header(x), entry(x, "Vary: X"))
	}
	hook := &after{}
	rdb.AddHook(hook)
	s := open(t, rdb, warm.set) // it does not know that X selects
	begun, hold := make(chan struct{}), make(chan struct{})
	hook.next(func() { close(begun); <-hold })
	var wg sync.WaitGroup
	look := func(x string) {
		wg.Go(func() {
			if got := served(t, s, p, header(x)); got != x {
				t.Errorf("%s: got %q", x, got)
			}
		})
	}
	look("X: 1")
	<-begun
	for n, x := range []string{"X: 2", "X: 1", "X: 2", "X: 1"} {
		look(x)
		redistest.Eventually(t, patience, func() bool { return waiting() == n+1 }, "not all requests wait")
	}
	close(hold)
	wg.Wait()
}

// The marks of a look-up are those of one class, so requests with and without a cookie
// do not share it.
func TestClassesDoNotShareALookUp(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	p := s.Place(target("/"), "")
	hook := &after{}
	rdb.AddHook(hook)
	begun, hold := make(chan struct{}), make(chan struct{})
	hook.next(func() { close(begun); <-hold })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = s.Find(t.Context(), p, nil, false) })
	<-begun
	var done atomic.Bool
	wg.Go(func() { _, _ = s.Find(t.Context(), p, header("Cookie: a=b"), false); done.Store(true) })
	redistest.Eventually(t, patience, func() bool { return done.Load() || waiting() > 0 }, "the second look-up does nothing")
	if !done.Load() {
		t.Error("a request with a cookie waits for one without")
	}
	close(hold)
	wg.Wait()
}

// Any number of concurrent requests costs two look-ups: the present one and the next.
func TestConcurrentRequestsShareTwoLookUps(t *testing.T) {
	s, rdb := alone(t)
	ready(t, s)
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	hook := &after{}
	rdb.AddHook(hook)
	counter := redistest.Count(rdb)
	begun, hold := make(chan struct{}), make(chan struct{})
	hook.next(func() { close(begun); <-hold })
	var wg sync.WaitGroup
	look := func() {
		if got := served(t, s, p, nil); got != "x" {
			t.Errorf("got %q", got)
		}
	}
	wg.Go(look)
	<-begun
	for range 30 {
		wg.Go(look)
	}
	redistest.Eventually(t, patience, func() bool { return waiting() == 30 }, "not all requests wait")
	close(hold)
	wg.Wait()
	if got := counter.Trips(); got != 2 {
		t.Errorf("%d round trips", got)
	}
}

// The memo of a target is bounded, and what it forgets costs a round trip.
func TestWhatTheMemoForgetsIsReadAgain(t *testing.T) {
	s, rdb := alone(t)
	p := s.Place(target("/"), "")
	h := header("X: 1")
	put(t, s, p, h, tagged(entry("x", "Vary: X"), "t"))
	s.memo.change(p.Hash, func(known) known { return known{} })
	counter := redistest.Count(rdb)
	for n, want := range []int{3, 1} {
		if got := spent(counter, func() { served(t, s, p, h) }); got != want {
			t.Errorf("look-up %d: %d round trips, want %d", n, got, want)
		}
	}
	for n := range maxMemo + 10 {
		s.memo.change(fmt.Sprint(n), func(known) known { return known{names: []string{"X"}} })
	}
	kept := 0
	for n := range maxMemo + 10 {
		if s.memo.get(fmt.Sprint(n)).names != nil {
			kept++
		}
	}
	if kept > maxMemo || kept < maxMemo-1 {
		t.Errorf("%d targets are kept", kept)
	}
}

// A wrong memo costs round trips and never makes a wrong result.
func TestAWrongMemoIsPutRight(t *testing.T) {
	s, _ := alone(t)
	p := s.Place(target("/"), "")
	h := header("X: 1", "Z: 1")
	for name, wrong := range map[string]known{
		"no names":       {tags: []string{"t"}},
		"other names":    {names: []string{"Z"}, tags: []string{"t"}},
		"more names":     {names: []string{"X", "Z"}},
		"other tags":     {names: []string{"X"}, tags: []string{"u"}},
		"too many tags":  {names: []string{"X"}, tags: []string{"t", "u"}},
		"nothing at all": {},
	} {
		put(t, s, p, h, tagged(entry("x", "Vary: X"), "t"))
		s.memo.change(p.Hash, func(known) known { return wrong })
		if got := served(t, s, p, h); got != "x" {
			t.Errorf("%s: got %q", name, got)
		}
		k := s.memo.get(p.Hash)
		if fmt.Sprint(k.names, k.tags) != "[X] [t]" {
			t.Errorf("%s: the memo has %v, %v afterwards", name, k.names, k.tags)
		}
		s.memo.change(p.Hash, func(known) known { return wrong })
		purge(t, s, s.Tagged([]string{"t"}, false))
		if got := served(t, s, p, h); got != "" {
			t.Errorf("%s: %q is served after the purge of its tag", name, got)
		}
	}
}
