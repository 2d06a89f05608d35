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
	unused atomic.Int32 // answers in a row
}

const (
	// maxMembers bounds the handlers that one beginner asks for their questions.
	maxMembers = 8
	// maxMisses is after how many unused answers in a row a member is forgotten,
	// such as a handler that was made for one request.
	maxMisses = 64
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
	b.questions, b.visited = b.space[:0], b.some[:0]
	return b
}

// RunKey is the context key of the run that a request is part of: that of the
// outermost handler that makes a batch for it.
type RunKey struct{}

// Learn notes in the run of a request's context that h has asked by itself, so that it
// is asked from now on. Take does so for its owner; a beginner that is inside of
// another one does it with the context that it got.
func Learn(ctx context.Context, h Handler) {
	n, _ := ctx.Value(RunKey{}).(*Run)
	if n == nil || n.member(h) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*member
	if now := n.learned.Load(); now != nil {
		all = *now
	}
	if h == n.next || len(all) >= maxMembers || slices.ContainsFunc(all, func(m *member) bool { return m.h == h }) {
		return
	}
	all = append(slices.Clone(all), &member{h: h})
	n.learned.Store(&all)
}

// member returns what is known of a handler that was learned, nil if it was not.
func (n *Run) member(h any) *member {
	if all := n.learned.Load(); all != nil {
		for _, m := range *all {
			if m.h == h {
				return m
			}
		}
	}
	return nil
}

// count counts whether an answer was used.
func (n *Run) count(h any, used bool) {
	m := n.member(h)
	switch {
	case m == nil:
	case used:
		m.unused.Store(0)
	case m.unused.Add(1) >= maxMisses:
		n.mu.Lock()
		defer n.mu.Unlock()
		all := slices.DeleteFunc(slices.Clone(*n.learned.Load()), func(other *member) bool { return other == m })
		n.learned.Store(&all)
	}
}

// visit has all handlers add their questions.
func (b *Batch) visit() {
	b.Visit(b.run.next)
	if all := b.run.learned.Load(); all != nil {
		for _, m := range *all {
			if !slices.Contains(b.visited, m.h) {
				b.Visit(m.h)
			}
		}
	}
}
