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

// quorum is several masters that vote. A majority of them must agree.
type quorum struct {
	l     *Locker
	nodes []*node
	vote  *redis.Script
	fence *redis.Script
	calls sync.WaitGroup // also those that were not waited for

	mu      sync.Mutex
	checked map[string]*node    // by run id, see masters.go
	started bool                // all were checked before the first vote
	rounds  map[string][]*round // by owner: those on their way to the nodes
}

// newQuorum returns the store of NewRedlock.
func newQuorum(l *Locker, nodes []Client) *quorum {
	q := &quorum{l: l, vote: newScript(voteSource), fence: newScript(fenceSource), checked: map[string]*node{}, rounds: map[string][]*round{}}
	for _, rdb := range nodes {
		q.nodes = append(q.nodes, newNode(l, rdb))
	}
	return q
}

// majority is how many nodes must agree.
func (q *quorum) majority() int { return len(q.nodes)/2 + 1 }

// blocks reports whether so many nodes that do not agree leave no majority.
func (q *quorum) blocks(n int) bool { return n > len(q.nodes)-q.majority() }

// close waits for calls whose callers have left.
func (q *quorum) close() { q.calls.Wait() }

type result[T any] struct {
	value T
	err   error
}

// callAll calls all nodes at the same time. The caller may leave when it has
// heard enough; the others end within the timeout.
func callAll[T any](q *quorum, fn func(i int) (T, error)) <-chan result[T] {
	results := make(chan result[T], len(q.nodes))
	for i := range q.nodes {
		q.calls.Go(func() {
			v, err := fn(i)
			results <- result[T]{v, err}
		})
	}
	return results
}

// retryRedlock is about how often an attempt for a busy lock is made.
const retryRedlock = 50 * time.Millisecond

// acquire asks all nodes for their votes, and then a majority to write the greatest
// of their fences. A node that is not known to be an independent master has no vote.
// Without a majority the votes that were won are given up, and the next attempt is
// made as another owner: a release that is late cannot take back its votes.
func (q *quorum) acquire(ctx context.Context, keys []string, owner string, _ query) (reply, error) {
	if err := q.checkAll(ctx); err != nil {
		return reply{}, err
	}
	round := q.startRound(owner)
	votes := callAll(q, func(i int) (reply, error) {
		defer q.endRound(owner, round, i)
		if err := q.check(ctx, q.nodes[i]); err != nil {
			return reply{}, err
		}
		return q.voteOf(ctx, q.nodes[i], keys, owner)
	})
	var (
		sum           reply
		granted, busy int
		errs          []error
	)
	for range q.nodes {
		switch r := <-votes; {
		case r.err != nil:
			errs = append(errs, r.err)
		case r.value.granted:
			granted++
			sum.fence, sum.twice = max(sum.fence, r.value.fence), sum.twice || r.value.twice
		default:
			busy++
			sum.left = max(sum.left, r.value.left)
		}
		if granted >= q.majority() {
			if err := q.agree(ctx, keys, owner, sum.fence); err != nil {
				return reply{}, err
			}
			return reply{granted: true, fence: sum.fence, twice: sum.twice}, nil
		}
		if q.blocks(busy + len(errs)) {
			break
		}
	}
	if q.blocks(len(errs)) {
		return reply{}, errors.Join(errs...)
	}
	return reply{left: min(sum.left, retryRedlock), split: true}, nil // nodes still to reply may vote for us, too
}

// voteOf asks one node for its vote.
func (q *quorum) voteOf(ctx context.Context, n *node, keys []string, owner string) (reply, error) {
	return n.query(ctx, q.vote, []string{keys[0], q.l.bootKey()}, owner, q.l.lease, q.l.lease, bootLife.Milliseconds())
}

// agree writes the greatest fence of a majority to a majority. Two majorities
// have a node in common, so the next fence is greater.
func (q *quorum) agree(ctx context.Context, keys []string, owner string, fence uint64) error {
	written, missed := 0, []error{}
	done := callAll(q, func(i int) (outcome, error) {
		return q.nodes[i].change(ctx, q.fence, keys[:1], owner, strconv.FormatUint(fence, 10))
	})
	for range q.nodes {
		switch r := <-done; {
		case r.err != nil:
			missed = append(missed, r.err)
		case r.value == succeeded:
			written++
		default:
			missed = append(missed, errors.New("the vote is gone"))
		}
		if written >= q.majority() {
			return nil
		}
		if q.blocks(len(missed)) {
			break
		}
	}
	return fmt.Errorf("the fence is not agreed on: %w", errors.Join(missed...))
}

// renew extends the lease on all nodes. A node that has lost the lock votes
// again, which is safe while a majority holds it. It counts from the next renewal
// on, because it does not know the fence that was agreed on.
func (q *quorum) renew(ctx context.Context, keys []string, owner string) (renewal, error) {
	round := q.startRound(owner)
	votes := callAll(q, func(i int) (outcome, error) {
		defer q.endRound(owner, round, i)
		n := q.nodes[i]
		r, err := n.renew(ctx, keys, owner)
		if err == nil && r.outcome == stateGone {
			if r, err := q.voteOf(ctx, n, keys, owner); err == nil && r.granted {
				return revoted, nil
			}
		}
		return r.outcome, err
	})
	held, lost, errs := 0, 0, []error{}
	for range q.nodes {
		switch r := <-votes; {
		case r.err != nil:
			errs = append(errs, r.err)
		case r.value == succeeded:
			held++
		default:
			lost++
		}
		switch {
		case held >= q.majority():
			return renewal{outcome: succeeded}, nil
		case q.blocks(lost):
			return renewal{outcome: otherOwner}, nil
		case q.blocks(lost + len(errs)):
			return renewal{}, errors.Join(errs...)
		}
	}
	return renewal{}, errors.Join(errs...)
}

// release releases the lock on all nodes, and waits for a majority. A caller
// that gives up in the background has time for two calls of each node, Release
// has [WithTimeout].
func (q *quorum) release(ctx context.Context, keys []string, h holding) (outcome, error) {
	if !h.abandoned {
		timed, cancel := context.WithTimeout(ctx, q.l.timeout)
		defer cancel()
		ctx = timed
	}
	rounds := q.roundsOf(h.owner)
	done := callAll(q, func(i int) (outcome, error) {
		n := q.nodes[i]
		for _, round := range rounds { // a vote on its way would come after its release
			<-round.done[i]
		}
		own := context.WithoutCancel(ctx) // it continues when it is no longer waited for
		o, err := n.release(own, keys, h)
		if err != nil && !isMistake(err) { // once more: the vote keeps others from a majority
			o, err = n.release(own, keys, h)
		}
		return o, err
	})
	released, errs := 0, []error{}
	for range q.nodes {
		select {
		case r := <-done:
			switch {
			case r.err != nil:
				errs = append(errs, r.err)
			case r.value == succeeded:
				released++
			}
		case <-ctx.Done():
			return 0, errors.Join(append(errs, ctx.Err())...)
		}
		switch {
		case released >= q.majority():
			return succeeded, nil
		case q.blocks(len(errs)):
			return 0, errors.Join(errs...)
		}
	}
	if h.abandoned || released+len(errs) >= q.majority() { // nodes that did not reply may have had it
		return succeeded, nil
	}
	return otherOwner, nil
}

// round is one call to all nodes that may give an owner votes.
type round struct {
	done []chan struct{} // by node
	left int
}

// startRound notes that calls that may give owner votes are on their way: its
// release waits for them.
func (q *quorum) startRound(owner string) *round {
	r := &round{left: len(q.nodes)}
	for range q.nodes {
		r.done = append(r.done, make(chan struct{}))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rounds[owner] = append(q.rounds[owner], r)
	return r
}

// endRound notes that a node has ended its part of a round.
func (q *quorum) endRound(owner string, r *round, node int) {
	close(r.done[node])
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.left--; r.left > 0 {
		return
	}
	rest := slices.DeleteFunc(q.rounds[owner], func(other *round) bool { return other == r })
	if q.rounds[owner] = rest; len(rest) == 0 {
		delete(q.rounds, owner)
	}
}

// roundsOf returns the rounds of owner that have not ended.
func (q *quorum) roundsOf(owner string) []*round {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.rounds[owner])
}
