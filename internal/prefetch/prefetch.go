// Package prefetch reads from Redis in one round trip what the middlewares of
// this module need for a request.
//
// What a limiter, a session and a cache want to know depends on the request
// alone. So the outermost of them, the beginner, can have the others' commands sent
// with its own. It asks the [Handler] that it calls, and those that have turned up
// further inside in earlier requests, for their questions. Each handler takes its
// answer at its turn, and compares what the question was made of with what it would
// ask by then: a middleware in between may have changed the request.
//
// The rules that this package keeps, for all of them:
//
//   - nothing that counts is prefetched: only the beginner of a batch sends a
//     command that charges, at its own turn;
//   - each question keeps its own timeout, from the moment it was sent;
//   - an answer is for one handler, once. What is not taken is reported as
//     unused, so that a lease can be released;
//   - each node gets one part of the batch, at the same time, and a part that
//     is late delays nothing but its own questions;
//   - a question that has no answer, for whatever reason, is asked by its
//     handler as if it had never been prefetched. Only one whose own timeout
//     has passed is [Late]: it is not asked again.
package prefetch

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Handler is the handler of a middleware of this module.
type Handler interface {
	http.Handler
	// Owner returns the limiter, session manager or cache of the handler. All its
	// handlers ask the same for a request, so one may take the answer to another's
	// question. It is comparable.
	Owner() any
	// Prefetch adds what the handler would ask for r to b, and has b visit the
	// handler directly inside of it. It sends nothing.
	Prefetch(b *Batch, r *http.Request)
}

// Asker made a question.
type Asker interface {
	// Report is called once for a question that was sent, when its outcome is
	// known, in any goroutine: err is nil, an error that Redis replied, a timeout,
	// or [context.Canceled] if nothing is known of the node.
	Report(err error)
	// Unused is called once if no handler takes the answer. outcome is Answered
	// if the replies can be read.
	Unused(outcome Outcome)
}

// Question is what one handler would ask Redis.
type Question struct {
	Owner    any // see [Handler]
	Asker    Asker
	Caller   *bounded.Caller
	Key      string // in Redis; all keys of the commands are on its node
	Commands []redis.Cmder
	Timeout  time.Duration

	part *part
	use  use
	late atomic.Bool // its handler has waited for its timeout
}

// Outcome is what became of a question.
type Outcome uint8

// The outcomes.
const (
	None     Outcome = iota // the handler is to ask by itself
	Answered                // each command has a reply, or an error that is one
	Late                    // no reply within the question's timeout
)

// use says who has a question.
type use uint8

const (
	open use = iota
	taken
	dropped
)

// Batch is the questions about one request. The handler that makes it must
// close it. A nil Batch has none.
type Batch struct {
	run     *Run
	outer   *Batch // that of another beginner further out, nil for none
	r       *http.Request
	sent    time.Time
	visited []any // owners

	mu        sync.Mutex
	questions []*Question
	parts     []*part

	// For the usual batch, without further allocations.
	space [3]*Question
	first part
	one   [1]*part
	some  [4]any
}

// Visit has the handler directly inside of another one add its questions, unless
// one of its owner has been asked: two leases for one response would keep the
// request from making it.
func (b *Batch) Visit(next Handler) {
	if next == nil || b.of(next.Owner()) != nil {
		return
	}
	b.visited = append(b.visited, next.Owner())
	next.Prefetch(b, b.r)
}

// of returns the batch in which an owner was asked, b or an outer one, nil for none.
func (b *Batch) of(owner any) *Batch {
	for ; b != nil; b = b.outer {
		if slices.Contains(b.visited, owner) {
			return b
		}
	}
	return nil
}

// Add adds a question.
func (b *Batch) Add(q *Question) {
	b.questions = append(b.questions, q)
	if !slices.Contains(b.visited, q.Owner) { // the beginner's own
		b.visited = append(b.visited, q.Owner)
	}
}

// Sent reports whether there are questions that were sent.
func (b *Batch) Sent() bool { return b != nil && !b.sent.IsZero() }

// Key is the context key of a batch.
type Key struct{}

// Visited reports whether a batch of a request's context has asked h for its
// questions. Then h makes no batch of its own.
func Visited(ctx context.Context, h Handler) bool {
	b, _ := ctx.Value(Key{}).(*Batch)
	return b.of(h.Owner()) != nil
}

// Take returns the question that h or another handler of its owner has in a batch of
// a request's context, and what became of it: it waits for the reply until the
// question's timeout has passed or ctx ends. It returns nil if there is no question, or
// if it was taken before. A handler that no batch has asked is asked from now on.
func Take(ctx context.Context, h Handler) (*Question, Outcome) {
	b, _ := ctx.Value(Key{}).(*Batch)
	if b = b.of(h.Owner()); b == nil {
		Learn(ctx, h)
		return nil, None
	}
	b.run.seen(h.Owner())
	q := b.take(h.Owner())
	if q == nil {
		return nil, None
	}
	if time.Since(b.sent) > q.Timeout+maxAge {
		return q, None
	}
	return q, q.wait(ctx, b.sent)
}

// Asked returns what asked the question that h or another handler of its owner has in a
// batch of a request's context, nil if there is none. It takes nothing.
func Asked(ctx context.Context, h Handler) Asker {
	b, _ := ctx.Value(Key{}).(*Batch)
	owner := h.Owner()
	if b = b.of(owner); b != nil {
		for _, q := range b.questions {
			if q.Owner == owner {
				return q.Asker
			}
		}
	}
	return nil
}

// maxAge is for how long an answer counts beyond the question's timeout: a handler may
// get its turn when a middleware in between has read an upload, or use its session when
// a WebSocket is to be closed. Then it asks for what is so by now.
const maxAge = time.Second

// Forgo drops the question that h or another handler of its owner has in a batch of a
// request's context, at its turn: it needs no answer.
func Forgo(ctx context.Context, h Handler) {
	b, _ := ctx.Value(Key{}).(*Batch)
	if b = b.of(h.Owner()); b == nil {
		return
	}
	b.run.seen(h.Owner())
	for _, q := range b.questions {
		if q.Owner == h.Owner() {
			b.drop(q)
		}
	}
}

func (b *Batch) take(owner any) *Question {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.questions {
		if q.Owner == owner && q.use == open && q.part != nil {
			q.use = taken
			return q
		}
	}
	return nil
}

// wait waits for the part of the question.
func (q *Question) wait(ctx context.Context, sent time.Time) Outcome {
	if q.part.done != nil {
		left := q.Timeout - time.Since(sent)
		timer := time.NewTimer(max(left, 0))
		defer timer.Stop()
		select {
		case <-q.part.done:
		case <-timer.C:
			select {
			case <-q.part.done: // it came while this goroutine was not running
			default:
				q.late.Store(true)
				return Late
			}
		case <-ctx.Done():
			return None
		}
	}
	return q.outcome()
}

// outcome is that of a question whose part has ended.
func (q *Question) outcome() Outcome {
	switch {
	case !q.part.lost && answered(q.Commands):
		return Answered
	case q.part.took >= q.Timeout:
		return Late
	}
	return None
}

// Close ends the batch: what was not taken is reported as unused, at once or when
// its reply comes. It is called when the handler that made the batch has
// returned, and may be called before, for answers that have become too old.
func (b *Batch) Close() {
	if b == nil || b.sent.IsZero() {
		return
	}
	for _, q := range b.questions {
		b.drop(q)
	}
}

func (b *Batch) drop(q *Question) {
	b.mu.Lock()
	ended := q.use == open && q.part != nil && q.part.ended
	if q.use == open {
		q.use = dropped
	}
	b.mu.Unlock()
	if ended {
		q.Asker.Unused(q.outcome())
	}
}
