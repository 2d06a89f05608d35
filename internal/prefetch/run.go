package prefetch

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Run is what the handler of a beginner knows of the handlers inside of it: the one
// that it calls, if it is of this module, and those that have turned up further
// inside, behind other middlewares or a router. It is safe for concurrent use.
type Run struct {
	next    Handler // nil if it is foreign
	mu      sync.Mutex
	learned atomic.Pointer[[]*member]
}

// member is a handler that has asked by itself in a request of the run.
type member struct {
	h      Handler
	misses atomic.Int32 // requests in a row in which it was asked and did not turn up
}

const (
	// maxMembers bounds the handlers that one beginner asks for their questions.
	maxMembers = 8
	// maxMisses is after how many misses a member is forgotten. It is more than the
	// requests that are usually under way: one that is forgotten by mistake is learned
	// by its next request.
	maxMisses = 1000
)

// NewRun returns the run of a beginner that calls next.
func NewRun(next http.Handler) *Run {
	h, _ := next.(Handler)
	return &Run{next: h}
}

// Next returns the handler directly inside, nil if it is foreign.
func (n *Run) Next() Handler { return n.next }

// Batch returns a batch for a request, nil if there is no handler to ask.
func (n *Run) Batch(r *http.Request) *Batch {
	if n.next == nil && n.learned.Load() == nil {
		return nil
	}
	b := &Batch{run: n, r: r}
	b.outer, _ = r.Context().Value(Key{}).(*Batch)
	b.questions, b.visited = b.space[:0], b.some[:0]
	return b
}

// RunKey is the context key of the run that a request is part of: that of the
// outermost handler that makes a batch for it, see [Run.In].
type RunKey struct{}

// In returns the value of RunKey in a context whose parent is ctx. n is nil in that
// of a handler that makes no batch.
func (n *Run) In(ctx context.Context) any {
	if outer := ctx.Value(RunKey{}); outer != nil || n == nil {
		return outer
	}
	return n
}

// Learn notes in the run of a request's context that h has asked by itself, so that it
// is asked from now on. Take does so for its owner; a beginner that is inside of
// another one does it with the context that it got.
func Learn(ctx context.Context, h Handler) {
	n, _ := ctx.Value(RunKey{}).(*Run)
	if n == nil || n.seen(h.Owner()) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*member
	if now := n.learned.Load(); now != nil {
		all = *now
	}
	owner := h.Owner()
	if n.next != nil && n.next.Owner() == owner || len(all) >= maxMembers ||
		slices.ContainsFunc(all, func(m *member) bool { return m.h.Owner() == owner }) {
		return
	}
	all = append(slices.Clone(all), &member{h: h})
	n.learned.Store(&all)
}

// seen notes that a handler of an owner has turned up. It reports whether the owner
// was learned.
func (n *Run) seen(owner any) bool {
	if all := n.learned.Load(); all != nil {
		for _, m := range *all {
			if m.h.Owner() == owner {
				m.misses.Store(0)
				return true
			}
		}
	}
	return false
}

// forget forgets a member, such as the handler of a cache that was made for one
// request.
func (n *Run) forget(m *member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*n.learned.Load()), func(other *member) bool { return other == m })
	n.learned.Store(&all)
}

// visit has all handlers add their questions.
func (b *Batch) visit() {
	b.Visit(b.run.next)
	if all := b.run.learned.Load(); all != nil {
		for _, m := range *all {
			b.Visit(m.h)
			if m.misses.Add(1) >= maxMisses {
				b.run.forget(m)
			}
		}
	}
}
