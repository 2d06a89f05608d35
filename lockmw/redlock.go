package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

var (
	//go:embed vote.lua
	voteSource string
	//go:embed fence.lua
	fenceSource string
)

// NewRedlock returns a Locker over an odd number of independent masters, three
// or more, that vote: it survives the loss of a minority of them (Redlock,
// redis.io/docs/latest/develop/clients/patterns/distributed-locks). A cluster, or the nodes of one sentinel group,
// are not independent, nor are two databases of one server. [Locker.Bootstrap]
// and the first lock find that out and fail with [ErrSetup] and an [*OptionError].
// It does not dial; all mistakes that can be seen are reported at once.
//
// Beyond the published algorithm the fence is agreed on by a second round, so
// that it grows from majority to majority, and a node that has lost its data
// abstains for a lease, so that it cannot help a second holder. A new set of
// masters therefore grants nothing for a lease, unless [Locker.Bootstrap] says
// that it is new. Waiters poll; they are served in order within a process only.
func NewRedlock(nodes []Client, opts ...Option) (*Locker, error) {
	l := newLocker(opts)
	var errs []error
	if len(nodes) < 3 || len(nodes)%2 == 0 {
		errs = append(errs, &OptionError{Option: "nodes", Reason: fmt.Sprintf("%d is not an odd number of 3 or more", len(nodes))})
	}
	for i, rdb := range nodes {
		if bounded.IsNil(rdb) {
			errs = append(errs, &OptionError{Option: "nodes", Reason: fmt.Sprintf("node %d is nil", i+1)})
			continue
		}
		switch bounded.Unwrap(rdb).(type) {
		case bounded.Cluster:
			errs = append(errs, &OptionError{Option: "nodes", Reason: fmt.Sprintf("node %d is a cluster: use New for that", i+1)})
		case bounded.Ring:
			errs = append(errs, &OptionError{Option: "nodes", Reason: fmt.Sprintf("node %d is a ring: pass its servers", i+1)})
		}
		for j, other := range nodes[:i] {
			if same(rdb, other) {
				errs = append(errs, &OptionError{Option: "nodes", Reason: fmt.Sprintf("nodes %d and %d are one client", j+1, i+1)})
			}
		}
	}
	if l.several() {
		errs = append(errs, &OptionError{Option: "nodes", Reason: "do not go with WithReadWrite or WithPermits"})
	}
	if err := errors.Join(append(errs, l.validate(true))...); err != nil {
		return nil, err
	}
	q := &quorum{l: l, vote: redis.NewScriptServerSHA(voteSource), fence: redis.NewScriptServerSHA(fenceSource), runs: map[string]*node{}, pending: map[string][]*round{}}
	for _, rdb := range nodes {
		q.nodes = append(q.nodes, newNode(l, rdb))
	}
	l.store = q
	return l, nil
}

// Bootstrap tells masters without data that they are new and have lost nothing, so that
// they vote at once. Run it once, before the first lock is taken; never after a
// node was replaced. It returns [ErrSetup] with an [*OptionError] for nodes that are
// not masters of their own. It is for [NewRedlock].
func (l *Locker) Bootstrap(ctx context.Context) error {
	q, ok := l.store.(*quorum)
	if !ok {
		return errors.New("lockmw: bootstrap: is for NewRedlock")
	}
	results := collect(q, func(n *node) (bool, error) {
		if err := q.verify(ctx, n); err != nil {
			return false, err
		}
		ctx, cancel := context.WithTimeout(ctx, l.nodeTimeout)
		defer cancel()
		cmd := redis.NewStatusCmd(ctx, "set", l.bootKey(), 0, "nx", "px", bootLife.Milliseconds())
		err := n.caller.Process(ctx, cmd)
		if errors.Is(err, redis.Nil) {
			err = nil // it has voted before
		}
		return true, diagnose(err)
	})
	var errs []error
	for range q.nodes {
		if r := <-results; r.err != nil {
			errs = append(errs, unavailable(r.err))
		}
	}
	return errors.Join(errs...)
}

func (l *Locker) bootKey() string { return l.base + "boot" }

// bootLife keeps a node's word that it has its data; a set of masters that was
// not used for so long abstains for a lease.
const bootLife = 365 * 24 * time.Hour

// look looks at all nodes before the first vote.
func (q *quorum) look(ctx context.Context) error {
	q.mu.Lock()
	looked := q.looked
	q.looked = true
	q.mu.Unlock()
	if looked {
		return nil
	}
	all := collect(q, func(n *node) (bool, error) { return true, q.verify(ctx, n) })
	for range q.nodes {
		var mistake *OptionError
		if r := <-all; errors.As(r.err, &mistake) {
			q.mu.Lock()
			q.looked = false
			q.mu.Unlock()
			return r.err
		}
	}
	return nil
}

// verify looks once at each node that it is a master of its own.
func (q *quorum) verify(ctx context.Context, n *node) error {
	q.mu.Lock()
	seen := slices.Contains(slices.Collect(maps.Values(q.runs)), n)
	q.mu.Unlock()
	if seen {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.l.nodeTimeout)
	defer cancel()
	cmd := redis.NewStringCmd(ctx, "info")
	if err := n.caller.Process(ctx, cmd); err != nil {
		return diagnose(err)
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(cmd.Val(), "\r\n"+name+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	mistake := func(reason string) error {
		return fmt.Errorf("%w: %w", ErrSetup, &OptionError{Option: "nodes", Reason: fmt.Sprintf("node %d %s", slices.Index(q.nodes, n)+1, reason)})
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	id := field("run_id")
	other := q.runs[id]
	switch {
	case field("role") != "master":
		return mistake("is not a master")
	case field("cluster_enabled") == "1":
		return mistake("is part of a cluster")
	case other != nil && other != n:
		return mistake(fmt.Sprintf("and node %d are one server", slices.Index(q.nodes, other)+1))
	}
	q.runs[id] = n
	return nil
}

// same reports whether two nodes are one client, which may be wrapped.
func same(a, b any) bool {
	a, b = bounded.Unwrap(a), bounded.Unwrap(b)
	ta, tb := reflect.TypeOf(a), reflect.TypeOf(b)
	return ta == tb && ta != nil && ta.Comparable() && ta.Kind() == reflect.Pointer && a == b
}
