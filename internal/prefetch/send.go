package prefetch

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// part is the questions that one node gets, over one client.
type part struct {
	caller    *bounded.Caller
	node      *redis.Client // of a cluster or a ring
	commands  []redis.Cmder
	questions []*Question
	done      chan struct{} // nil if it is sent by the goroutine of the request

	// Set when it ends; of a part with a channel, before that is closed.
	ended bool
	lost  bool // the call was left behind: its commands must not be read
	took  time.Duration

	space [12]redis.Cmder
	mine  [3]*Question
}

// Call is the beginner's own command.
type Call struct {
	Caller  *bounded.Caller
	Key     string // in Redis
	Command redis.Cmder
}

// SendWith sends the beginner's command, and with it the questions of the
// handlers inside of it. It returns when the command has its reply or ctx ends,
// whichever is first; questions for other nodes or clients may have none by then.
// The error is that of the connection; an error that Redis replied is the
// command's. After one that matches [bounded.ErrAbandoned] the command must not be
// touched.
func (b *Batch) SendWith(ctx context.Context, own Call) error {
	b.visit()
	mine := &b.first
	mine.caller, mine.commands = own.Caller, append(mine.space[:0], own.Command)
	mine.questions, b.parts = mine.mine[:0], append(b.one[:0], mine)
	if len(b.questions) > 0 {
		mine.node, _ = own.Caller.Node(own.Key)
		b.arrange()
		b.begin(1)
	}
	err := errPanicked
	defer func() { b.end(mine, err) }()
	if err = mine.send(ctx); err != nil {
		return err
	}
	return own.Command.Err()
}

// Send sends the questions if there are at least two: one alone is asked by its
// handler at its turn. It does not wait for the replies.
func (b *Batch) Send() {
	b.visit()
	if b.arrange(); len(b.questions) >= 2 {
		b.begin(0)
		return
	}
	for _, q := range b.questions {
		q.Asker.Report(context.Canceled)
	}
	b.questions = nil
}

// arrange gives each question its part. One whose node is not known, or whose
// client sends no pipelines, is left to its handler.
func (b *Batch) arrange() {
	kept := b.questions[:0]
	for _, q := range b.questions {
		node, known := q.Caller.Node(q.Key)
		if !known {
			q.Asker.Report(context.Canceled)
			continue
		}
		kept = append(kept, q)
		p := b.partOf(q.Caller, node)
		p.questions, p.commands = append(p.questions, q), append(p.commands, q.Commands...)
		q.part = p
	}
	b.questions = kept
}

func (b *Batch) partOf(caller *bounded.Caller, node *redis.Client) *part {
	for _, p := range b.parts {
		if p.node == node && p.caller.Same(caller) {
			return p
		}
	}
	p := &part{caller: caller, node: node}
	p.commands, p.questions = p.space[:0], p.mine[:0]
	b.parts = append(b.parts, p)
	return p
}

// begin sends all parts but the first n, each in a goroutine.
func (b *Batch) begin(n int) {
	if len(b.questions) == 0 {
		return
	}
	b.sent = time.Now()
	for _, p := range b.parts[n:] {
		p.done = make(chan struct{})
	}
	for _, p := range b.parts[n:] {
		go func() {
			timeout := time.Duration(0)
			for _, q := range p.questions {
				timeout = max(timeout, q.Timeout)
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(b.r.Context()), timeout)
			defer cancel()
			err := errPanicked
			defer func() { _ = recover() }() // the handler asks by itself, and panics there
			defer func() { b.end(p, err) }()
			err = p.send(ctx)
		}()
	}
}

// errPanicked is the outcome of a part whose client panicked.
var errPanicked = errors.New("the client panicked")

// send sends a part in one round trip.
func (p *part) send(ctx context.Context) error { return p.caller.ProcessAll(ctx, p.commands...) }

// end reports how a part ended.
func (b *Batch) end(p *part, err error) {
	if len(p.questions) == 0 {
		return
	}
	p.took, p.lost = time.Since(b.sent), err != nil
	for _, q := range p.questions {
		q.Asker.Report(q.verdict())
	}
	var unused []*Question
	b.mu.Lock()
	p.ended = true
	for _, q := range p.questions {
		if q.use == dropped {
			unused = append(unused, q)
		}
	}
	b.mu.Unlock()
	if p.done != nil {
		close(p.done)
	}
	for _, q := range unused {
		q.Asker.Unused(q.outcome())
	}
}

// verdict is what a question says about its node. A part that was given up for
// the sake of another question says nothing.
func (q *Question) verdict() error {
	switch {
	case q.late.Load():
		return context.DeadlineExceeded
	case !q.part.lost && answered(q.Commands):
		return firstError(q.Commands)
	case q.part.took >= q.Timeout:
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// answered reports whether each command has a reply.
func answered(cmds []redis.Cmder) bool {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			if _, ok := err.(redis.Error); !ok { //nolint:errorlint // a reply is not wrapped
				return false
			}
		}
	}
	return true
}

// firstError is the first error that Redis replied, nil if there is none.
func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // identity is go-redis' contract
			return err
		}
	}
	return nil
}
