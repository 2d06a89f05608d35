package tail_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/tail"
)

// around is a writer as that of an outer middleware.
type around struct {
	http.ResponseWriter
	tail *tail.Tail
}

func (a around) Tail() *tail.Tail            { return a.tail }
func (a around) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// What inner handlers leave runs while the outer one goes on, and is done when it returns.
func TestFunctionsRunBesideTheOuterHandler(t *testing.T) {
	var all tail.Tail
	met, done := make(chan struct{}), atomic.Int32{}
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			tail.Of(w).Go(func() {
				<-met // the outer one has gone on
				done.Add(1)
			})
		}
	})
	inner.ServeHTTP(around{httptest.NewRecorder(), &all}, httptest.NewRequest("GET", "/", nil))
	close(met)
	all.Wait()
	if done.Load() != 3 {
		t.Errorf("%d functions have run, want 3", done.Load())
	}
}

// Without an outer middleware, and when it has returned, nothing waits: the function runs
// at once, on the caller's goroutine.
func TestFunctionsRunAtOnceWhereNothingWaits(t *testing.T) {
	var ended tail.Tail
	ended.Wait()
	for name, of := range map[string]*tail.Tail{"none": tail.Of(httptest.NewRecorder()), "ended": tail.Of(around{httptest.NewRecorder(), &ended})} {
		run := false
		of.Go(func() { run = true })
		if !run {
			t.Errorf("%s: it has not run", name)
		}
	}
}

// The nearest outer middleware waits.
func TestTheNearestWaits(t *testing.T) {
	var outer, nearest tail.Tail
	w := around{around{around{httptest.NewRecorder(), &outer}, &nearest}, nil}
	if tail.Of(w) != &nearest {
		t.Error("another one was found")
	}
}

// A panic is that of the request's goroutine, once, when all have ended.
func TestAPanicIsTheRequests(t *testing.T) {
	var all tail.Tail
	done := false
	all.Go(func() { panic("hook") })
	all.Go(func() { done = true })
	func() {
		defer func() {
			if p := recover(); p != "hook" || !done {
				t.Errorf("recovered %v, the other done: %v", p, done)
			}
		}()
		all.Wait()
	}()
	all.Wait() // no second panic
}
