// Package tail runs what an inner middleware has to do in Redis when its handler has
// returned beside what an outer one has to do then: a lock is released while the cache
// stores the response, and neither waits for the other.
package tail

import (
	"context"
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

type key struct{}

// In returns a request in whose context inner middlewares find the Tail.
func (t *Tail) In(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, t))
}

// Of returns the Tail of the nearest outer middleware that waits for one, nil if there is
// none.
func Of(ctx context.Context) *Tail {
	t, _ := ctx.Value(key{}).(*Tail)
	return t
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
