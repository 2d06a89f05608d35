package lockmw

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// quorum is several masters that vote.
type quorum struct {
	l     *Locker
	nodes []*node
	vote  *redis.Script
	fence *redis.Script
	calls sync.WaitGroup // that nobody waits for

	mu      sync.Mutex
	runs    map[string]*node    // by run id; those that were looked at
	looked  bool                // all were asked once
	pending map[string][]*round // by owner: what is on its way to the nodes
}

func (q *quorum) majority() int { return len(q.nodes)/2 + 1 }

func (q *quorum) wait() { q.calls.Wait() }

type result[T any] struct {
	value T
	err   error
}

// collect asks all nodes at once. Who has heard enough leaves; the rest comes
// in by itself, within the node timeout.
func collect[T any](q *quorum, ask func(*node) (T, error)) <-chan result[T] {
	return collectAt(q, func(i int) (T, error) { return ask(q.nodes[i]) })
}

func collectAt[T any](q *quorum, ask func(i int) (T, error)) <-chan result[T] {
	results := make(chan result[T], len(q.nodes))
	for i := range q.nodes {
		q.calls.Go(func() {
			v, err := ask(i)
			results <- result[T]{v, err}
		})
	}
	return results
}

func (q *quorum) ask(ctx context.Context, keys []string, owner string, _ query) (answer, error) {
	if err := q.look(ctx); err != nil {
		return answer{}, err
	}
	in := q.begun(owner)
	votes := collectAt(q, func(i int) (answer, error) {
		defer q.ended(owner, in, i)
		if err := q.verify(ctx, q.nodes[i]); err != nil {
			return answer{}, err
		}
		return q.voteOf(ctx, q.nodes[i], keys, owner)
	})
	var (
		a             answer
		granted, busy int
		errs          []error
	)
	for range q.nodes {
		r := <-votes
		switch {
		case r.err != nil:
			errs = append(errs, r.err)
		case r.value.granted:
			granted++
			a.fence, a.again = max(a.fence, r.value.fence), a.again || r.value.again
		default:
			busy++
			a.left = max(a.left, r.value.left)
		}
		if granted >= q.majority() {
			if err := q.agree(ctx, keys, owner, a.fence); err != nil {
				return answer{}, err
			}
			return answer{granted: true, fence: a.fence, again: a.again}, nil
		}
		if busy+len(errs) > len(q.nodes)-q.majority() {
			break // no majority can come of it
		}
	}
	if len(errs) > len(q.nodes)-q.majority() {
		return answer{}, errors.Join(errs...)
	}
	a.left, a.split = min(a.left, retryRedlock), true // those still to answer may vote for us too
	return a, nil
}

// retryRedlock is about how often a busy lock is asked for again.
const retryRedlock = 50 * time.Millisecond

func (q *quorum) voteOf(ctx context.Context, n *node, keys []string, owner string) (answer, error) {
	return n.run(ctx, q.vote, []string{keys[0], q.l.bootKey()}, owner, q.l.lease, q.l.lease, bootLife.Milliseconds())
}

// agree writes the greatest fence of a majority to a majority. Two majorities
// have a node in common, so the next fence is greater.
func (q *quorum) agree(ctx context.Context, keys []string, owner string, fence uint64) error {
	done := collect(q, func(n *node) (int64, error) {
		return n.surely(ctx, q.fence, keys[:1], owner, strconv.FormatUint(fence, 10))
	})
	written, missed := 0, []error{}
	for range q.nodes {
		switch r := <-done; {
		case r.err != nil:
			missed = append(missed, r.err)
		case r.value == 1:
			written++
		default:
			missed = append(missed, errors.New("the vote is gone"))
		}
		if written >= q.majority() {
			return nil
		}
		if len(missed) > len(q.nodes)-q.majority() {
			break
		}
	}
	return fmt.Errorf("the fence is not agreed on: %w", errors.Join(missed...))
}

// again is a node that has lost the lock and has voted for it once more. It counts
// from the next renewal on, for it does not know the fence that was agreed on.
const again = 2

// renew extends the lease on all nodes. One that has lost it votes again: that
// is safe while a majority holds it.
func (q *quorum) renew(ctx context.Context, keys []string, owner string) (int64, error) {
	in := q.begun(owner)
	votes := collectAt(q, func(i int) (int64, error) {
		defer q.ended(owner, in, i)
		n := q.nodes[i]
		code, err := n.renew(ctx, keys, owner)
		if err == nil && code == -1 {
			if a, err := q.voteOf(ctx, n, keys, owner); err == nil && a.granted {
				return again, nil
			}
		}
		return code, err
	})
	held, lost, errs := 0, 0, []error{}
	for range q.nodes {
		switch r := <-votes; {
		case r.err != nil:
			errs = append(errs, r.err)
		case r.value == 1:
			held++
		default:
			lost++
		}
		switch {
		case held >= q.majority():
			return 1, nil
		case lost > len(q.nodes)-q.majority():
			return 0, nil
		case lost+len(errs) > len(q.nodes)-q.majority():
			return 0, errors.Join(errs...)
		}
	}
	return 0, errors.Join(errs...)
}

// let gives the lock up on all nodes, and waits for a majority.
func (q *quorum) let(ctx context.Context, keys []string, owner string, leaving bool) (int64, error) {
	q.mu.Lock()
	votes := slices.Clone(q.pending[owner])
	q.mu.Unlock()
	done := collectAt(q, func(i int) (int64, error) {
		n := q.nodes[i]
		for _, in := range votes { // one on its way would come after what takes it back
			<-in.done[i]
		}
		own := context.WithoutCancel(ctx) // it goes on when nobody waits any more
		code, err := n.let(own, keys, owner, leaving)
		if err != nil && !isMistake(err) { // once more: it keeps others from a vote
			code, err = n.let(own, keys, owner, leaving)
		}
		return code, err
	})
	released, errs := 0, []error{}
	for range q.nodes {
		select {
		case r := <-done:
			switch {
			case r.err != nil:
				errs = append(errs, r.err)
			case r.value == 1:
				released++
			}
		case <-ctx.Done():
			return 0, errors.Join(append(errs, ctx.Err())...)
		}
		switch {
		case released >= q.majority():
			return 1, nil
		case len(errs) > len(q.nodes)-q.majority():
			return 0, errors.Join(errs...)
		}
	}
	if leaving || released+len(errs) >= q.majority() { // those that are away may have had it
		return 1, nil
	}
	return 0, nil
}

// round is one call to all nodes for an owner.
type round struct {
	done []chan struct{} // by node
	left int
}

// begun notes a round that may give owner a vote.
func (q *quorum) begun(owner string) *round {
	in := &round{left: len(q.nodes)}
	for range q.nodes {
		in.done = append(in.done, make(chan struct{}))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending[owner] = append(q.pending[owner], in)
	return in
}

func (q *quorum) ended(owner string, in *round, node int) {
	close(in.done[node])
	q.mu.Lock()
	defer q.mu.Unlock()
	if in.left--; in.left > 0 {
		return
	}
	rest := slices.DeleteFunc(q.pending[owner], func(other *round) bool { return other == in })
	if q.pending[owner] = rest; len(rest) == 0 {
		delete(q.pending, owner)
	}
}
