package lockmw

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// checkNodes records what is wrong with clients of masters, as far as it can be
// seen without a connection.
func checkNodes(check *setting.Check, nodes []Client) {
	check.That(len(nodes) >= 3 && len(nodes)%2 == 1, "nodes", "%d is not an odd number of 3 or more", len(nodes))
	for i, rdb := range nodes {
		if bounded.IsNil(rdb) {
			check.Fail("nodes", "node %d is nil", i+1)
			continue
		}
		switch bounded.Unwrap(rdb).(type) {
		case bounded.Cluster:
			check.Fail("nodes", "node %d is a cluster: use New for that", i+1)
		case bounded.Ring:
			check.Fail("nodes", "node %d is a ring: pass its servers", i+1)
		}
		for j, other := range nodes[:i] {
			check.That(!isSameClient(rdb, other), "nodes", "nodes %d and %d are one client", j+1, i+1)
		}
	}
}

// isSameClient reports whether two nodes are one client, which may be wrapped.
func isSameClient(a, b any) bool {
	a, b = bounded.Unwrap(a), bounded.Unwrap(b)
	ta, tb := reflect.TypeOf(a), reflect.TypeOf(b)
	return ta == tb && ta != nil && ta.Comparable() && ta.Kind() == reflect.Pointer && a == b
}

// checkAll checks all nodes before the first vote. It fails only for nodes that
// are known not to be independent masters.
func (q *quorum) checkAll(ctx context.Context) error {
	q.mu.Lock()
	started := q.started
	q.started = true
	q.mu.Unlock()
	if started {
		return nil
	}
	all := callAll(q, func(i int) (struct{}, error) { return struct{}{}, q.check(ctx, q.nodes[i]) })
	for range q.nodes {
		var mistake *OptionError
		if r := <-all; errors.As(r.err, &mistake) {
			q.mu.Lock()
			q.started = false
			q.mu.Unlock()
			return r.err
		}
	}
	return nil
}

// check asks a node, once, whether it is an independent master.
func (q *quorum) check(ctx context.Context, n *node) error {
	q.mu.Lock()
	checked := slices.Contains(slices.Collect(maps.Values(q.checked)), n)
	q.mu.Unlock()
	if checked {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.l.timeout)
	defer cancel()
	info := redis.NewStringCmd(ctx, "info")
	if err := n.caller.Process(ctx, info); err != nil {
		return diagnose(err)
	}
	// A node is named by its position, because an address may be secret.
	mistake := func(reason string) error {
		return fmt.Errorf("%w: %w", ErrSetup, &OptionError{Package: "lockmw", Option: "nodes", Reason: fmt.Sprintf("node %d %s", slices.Index(q.nodes, n)+1, reason)})
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	id := infoField(info.Val(), "run_id")
	other := q.checked[id]
	switch {
	case infoField(info.Val(), "role") != "master":
		return mistake("is not a master")
	case infoField(info.Val(), "cluster_enabled") == "1":
		return mistake("is part of a cluster")
	case other != nil && other != n:
		return mistake(fmt.Sprintf("and node %d are one server", slices.Index(q.nodes, other)+1))
	}
	q.checked[id] = n
	return nil
}

// infoField returns a field of the reply to INFO.
func infoField(info, name string) string {
	_, rest, _ := strings.Cut(info, "\r\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}
