package lockmw

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// node is one deployment: a server, a sentinel group or a cluster.
type node struct {
	l       *Locker
	caller  *bounded.Caller
	clock   clock
	scripts nodeScripts
}

// nodeScripts are the scripts of a node. Redis computes their hashes, with the first
// call: that works where FIPS forbids SHA-1 in Go.
type nodeScripts struct{ acquire, queue, renew, free, release, force, inspect *redis.Script }

// newNode returns the node of a client. It warns at once of a client that ignores
// deadlines: each call costs a goroutine then.
func newNode(l *Locker, rdb Client) *node {
	return &node{l: l, caller: bounded.New(rdb).Watch(l.logger), scripts: nodeScripts{
		acquire: newScript(acquireSource), queue: newScript(queueSource), renew: newScript(renewSource),
		free: newScript(freeSource), release: newScript(releaseSource), force: newScript(forceSource), inspect: newScript(inspectSource),
	}}
}

// acquire makes most attempts with acquire.lua, which is short: the lock is free,
// or busy and the caller does not wait. Only the others cost the second round trip
// of queue.lua, and a waiter that is queued already goes there directly.
func (n *node) acquire(ctx context.Context, keys []string, owner string, q query) (reply, error) {
	if !q.queued {
		r, err := n.query(ctx, n.scripts.acquire, keys[:1], owner, n.l.lease)
		if err != nil || !r.undecided && (!q.enqueue || r.granted) {
			return r, err
		}
	}
	mode := 0
	switch {
	case q.queued:
		mode = 2
	case q.enqueue:
		mode = 1
	}
	r, err := n.query(ctx, n.scripts.queue, keys, owner, n.l.lease, mode, n.l.maxWaiters, n.clock.expect(time.Now(), n.l.ttl), n.l.clockTolerance().Milliseconds())
	r.written.waiters = r.written.waiters || q.queued // a lock that was waited for will be again
	return r, err
}

// renew runs renew.lua.
func (n *node) renew(ctx context.Context, keys []string, owner string) (renewal, error) {
	return decodeRenewal(n.call(n.scripts.renew, keys[:1], owner, n.l.lease).repeatable(ctx))
}

// force runs force.lua, once: an operator sees whether it worked.
func (n *node) force(ctx context.Context, keys []string, owner string) (outcome, error) {
	return n.forceBy(ctx, n.scripts.force, keys, owner)
}

// close has nothing to wait for: calls end before their callers go on.
func (n *node) close() {}

// query runs a script whose reply is that of acquire.lua, and may run twice.
func (n *node) query(ctx context.Context, script *redis.Script, keys []string, args ...any) (reply, error) {
	c := n.call(script, keys, args...)
	sent := time.Now()
	v, err := c.repeatable(ctx)
	if err != nil {
		return reply{}, err
	}
	r, err := decodeReply(v)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	r.twice = c.twice
	n.clock.observe(r.now, sent, time.Now(), n.l.clockTolerance())
	return r, nil
}

// change runs a script whose reply is an outcome, and which may run twice.
func (n *node) change(ctx context.Context, script *redis.Script, keys []string, args ...any) (outcome, error) {
	return decodeOutcome(n.call(script, keys, args...).repeatable(ctx))
}

// forceBy runs a script that takes a lock or a permit from its holder.
func (n *node) forceBy(ctx context.Context, script *redis.Script, keys []string, owner string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, n.l.timeout)
	defer cancel()
	return decodeOutcome(n.call(script, keys, owner).once(ctx))
}

// decodeOutcome reads a reply of one number.
func decodeOutcome(v []int64, err error) (outcome, error) {
	if err == nil && len(v) != 1 {
		err = fmt.Errorf("reply of %d values, want one", len(v))
	}
	if err != nil {
		return 0, err
	}
	return outcome(v[0]), nil
}

// decodeRenewal reads the reply of renew.lua.
func decodeRenewal(v []int64, err error) (renewal, error) {
	var w written
	if err == nil && len(v) == 3 {
		v, w = v[:1], written{at: v[1], waiters: v[2] != 0}
	}
	o, err := decodeOutcome(v, err)
	return renewal{o, w}, err
}
