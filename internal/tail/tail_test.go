package tail_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/tail"
)

// What inner handlers leave runs while the outer one goes on, and is done when it returns.
func TestFunctionsRunBesideTheOuterHandler(t *testing.T) {
	var all tail.Tail
	met, done := make(chan struct{}), atomic.Int32{}
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for range 3 {
			tail.Of(r.Context()).Go(func() {
				<-met // the outer one has gone on
				done.Add(1)
			})
		}
	})
	inner.ServeHTTP(httptest.NewRecorder(), all.In(httptest.NewRequest("GET", "/", nil)))
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
	for name, of := range map[string]*tail.Tail{"none": tail.Of(t.Context()), "ended": tail.Of(ended.In(httptest.NewRequest("GET", "/", nil)).Context())} {
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
	r := nearest.In(outer.In(httptest.NewRequest("GET", "/", nil)))
	if tail.Of(r.Context()) != &nearest {
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
