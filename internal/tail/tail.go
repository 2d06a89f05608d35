// Package tail runs what an inner middleware has to do in Redis when its handler has
// returned beside what an outer one has to do then: a lock is released while the cache
// stores the response, and neither waits for the other.
package tail

import (
	"net/http"
	"sync"
)

// Tail is what is left to do for one call of a handler. The outer middleware makes it and
// waits for it before it returns. Its zero value has nothing to do. It is safe for
// concurrent use.
type Tail struct {
	live sync.WaitGroup

	mu    sync.Mutex
	ended bool
	fault any // what the first function that panicked has panicked with
}

// Of returns the Tail of the nearest outer middleware that waits for one, nil if there is
// none. Its writer has a method Tail; it is found through writers that have Unwrap, as
// [http.ResponseController] finds what it needs.
func Of(w http.ResponseWriter) *Tail {
	for {
		if has, ok := w.(interface{ Tail() *Tail }); ok {
			if t := has.Tail(); t != nil {
				return t
			}
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// Go runs fn in a goroutine that [Tail.Wait] waits for, or at once if t is nil or the wait is
// over.
func (t *Tail) Go(fn func()) {
	if t == nil || !t.begin() {
		fn()
		return
	}
	go func() {
		defer t.live.Done()
		defer func() {
			if p := recover(); p != nil {
				t.fail(p)
			}
		}()
		fn()
	}()
}

func (t *Tail) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.live.Add(1)
	}
	return !t.ended
}

func (t *Tail) fail(p any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fault == nil {
		t.fault = p
	}
}

// Wait waits until all functions have returned, and panics with what the first of them has
// panicked with: it runs on the goroutine of the request, where the server recovers.
func (t *Tail) Wait() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.live.Wait()
	t.mu.Lock()
	p := t.fault
	t.fault = nil
	t.mu.Unlock()
	if p != nil {
		panic(p) //nolint:forbidigo // of a hook or a client, as without the goroutine
	}
}
