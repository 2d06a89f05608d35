package bounded

import (
	"context"
	"sync/atomic"
	"time"
)

// Timeout makes contexts that end after a duration. Those that begin at about the
// same time share a timer, because one for each request costs more than what is
// done with it. It is safe for concurrent use.
type Timeout struct {
	d   time.Duration
	now atomic.Pointer[ending]
}

// ending is when contexts of a Timeout end.
type ending struct {
	ctx    context.Context
	cancel context.CancelFunc // not called: the context ends by itself
	last   time.Time          // for contexts that begin until then
}

// maxShared bounds for how long contexts share a timer.
const maxShared = 10 * time.Millisecond

// NewTimeout returns a Timeout of d.
func NewTimeout(d time.Duration) *Timeout { return &Timeout{d: d} }

// Context returns a context with the values of ctx, which ends after the duration
// and not with ctx, like one of [context.WithTimeout] and [context.WithoutCancel].
// Its deadline is exact; it is done at the deadline, or later by at most a sixteenth
// of the duration and 10 ms.
func (t *Timeout) Context(ctx context.Context) context.Context {
	begun := time.Now()
	e := t.now.Load()
	if e == nil || begun.After(e.last) {
		e = &ending{last: begun.Add(min(t.d/16, maxShared))}
		e.ctx, e.cancel = context.WithDeadline(context.Background(), e.last.Add(t.d))
		t.now.Store(e)
	}
	return &limited{e.ctx, ctx, begun.Add(t.d)}
}

// limited is a context of a Timeout.
type limited struct {
	context.Context // which ends it
	values          context.Context
	deadline        time.Time
}

func (c *limited) Deadline() (time.Time, bool) { return c.deadline, true }

// Value is that of values, except for what package context keeps about cancellation.
func (c *limited) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}
