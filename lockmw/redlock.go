package lockmw

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// NewRedlock returns a Locker over an odd number of independent masters, three
// or more, that vote: it survives the loss of a minority of them (Redlock,
// redis.io/docs/latest/develop/clients/patterns/distributed-locks). A cluster, or
// the nodes of one sentinel group, are not independent, nor are two databases of
// one server: [Locker.Bootstrap] and the first lock find that out and fail with
// [ErrSetup] and an [*OptionError]. NewRedlock does not dial; all mistakes that
// can be seen are reported at once.
//
// Beyond the published algorithm the fence is agreed on by a second round, so
// that it grows from majority to majority, and a node that has lost its data
// abstains for a lease, so that it cannot help a second holder. A new set of
// masters therefore grants nothing for a lease, unless [Locker.Bootstrap] says
// that it is new. Waiters poll; they are served in order within a process only.
// It does not go with [WithReadWrite] and [WithPermits].
func NewRedlock(nodes []Client, opts ...Option) (*Locker, error) {
	l := newLocker(opts)
	check := l.check()
	checkNodes(check, nodes)
	check.That(!l.isShared(), "nodes", "do not go with WithReadWrite or WithPermits")
	if err := check.Err(); err != nil {
		return nil, err
	}
	l.store = newQuorum(l, nodes)
	return l, nil
}

// Bootstrap tells masters without data that they are new and have lost nothing,
// so that they vote at once. Run it once, before the first lock is acquired;
// never after a node was replaced. It returns [ErrSetup] with an [*OptionError]
// for nodes that are not independent masters. It is for [NewRedlock].
func (l *Locker) Bootstrap(ctx context.Context) error {
	q, ok := l.store.(*quorum)
	if !ok {
		return errors.New("lockmw: bootstrap: only with NewRedlock")
	}
	results := callAll(q, func(i int) (struct{}, error) { return struct{}{}, q.bootstrap(ctx, q.nodes[i]) })
	var errs []error
	for range q.nodes {
		if r := <-results; r.err != nil {
			errs = append(errs, failed("bootstrap", r.err))
		}
	}
	return errors.Join(errs...)
}

// bootLife is how long a node's word that it has its data is kept; a set of
// masters that was not used for so long abstains for a lease.
const bootLife = 365 * 24 * time.Hour

func (q *quorum) bootstrap(ctx context.Context, n *node) error {
	if err := q.check(ctx, n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.l.timeout)
	defer cancel()
	cmd := redis.NewStatusCmd(ctx, "set", q.l.bootKey(), 0, "nx", "px", bootLife.Milliseconds())
	err := n.caller.Process(ctx, cmd)
	if errors.Is(err, redis.Nil) {
		return nil // it has voted before
	}
	return diagnose(err)
}
