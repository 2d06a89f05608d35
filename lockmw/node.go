package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

var (
	//go:embed acquire.lua
	acquireSource string
	//go:embed queue.lua
	queueSource string
	//go:embed renew.lua
	renewSource string
	//go:embed release.lua
	releaseSource string
)

// store is where locks are: one deployment, or several masters that vote. Each
// call is bounded by the node timeout.
type store interface {
	// ask takes the lock for owner, or a place in its queue.
	ask(ctx context.Context, keys []string, owner string, q query) (answer, error)
	// renew extends the lease: 1 renewed, 0 somebody else's, -1 gone.
	renew(ctx context.Context, keys []string, owner string) (int64, error)
	// let gives the lock up, or a place in the queue: 1 done, 0 somebody
	// else's, -1 gone.
	let(ctx context.Context, keys []string, owner string, leaving bool) (int64, error)
	// wait waits for calls that nobody waits for.
	wait()
}

// operator is what a store has for operators.
type operator interface {
	look(ctx context.Context, keys []string) (any, error)                          // the reply of inspect.lua
	take(ctx context.Context, keys []string, owner string) (code int64, err error) // that of force.lua
}

// query is what is asked for.
type query struct {
	share         bool // not all of it
	queue, queued bool // if it is busy: wait, and it does already
}

// node is one deployment: a server, a sentinel group or a cluster.
type node struct {
	l       *Locker
	caller  *bounded.Caller
	acquire *redis.Script
	queue   *redis.Script
	extend  *redis.Script
	release *redis.Script
	inspect *redis.Script
	force   *redis.Script
	clock   clock
}

func newNode(l *Locker, rdb bounded.Client) *node {
	return &node{l: l, caller: bounded.New(rdb).Watch(l.logger), acquire: redis.NewScriptServerSHA(acquireSource), queue: redis.NewScriptServerSHA(queueSource),
		extend: redis.NewScriptServerSHA(renewSource), release: redis.NewScriptServerSHA(releaseSource),
		inspect: redis.NewScriptServerSHA(inspectSource), force: redis.NewScriptServerSHA(forceSource)}
}

// answer is the reply of acquire.lua, queue.lua and vote.lua.
type answer struct {
	granted, full bool
	unknown       bool // queue.lua has to say
	mismatch      bool // of the number of permits
	fence         uint64
	left          time.Duration
	now           int64 // the server's time, in ms
	split         bool  // of masters that vote: some did, so begin anew under another name
	again         bool  // asked twice: the first call may still be on its way, and is taken back once more after the release
}

func decodeAnswer(v []int64) (answer, error) {
	if len(v) != 4 {
		return answer{}, fmt.Errorf("reply of %d values, want four", len(v))
	}
	code, fence, left, now := v[0], v[1], v[2], v[3]
	a := answer{granted: code == 1, full: code == -1, unknown: code == 2, mismatch: code == -3, left: time.Duration(left) * time.Millisecond, now: now}
	if left < 0 || left > maxLeft || a.granted && fence <= 0 {
		return answer{}, errors.New("reply is out of range")
	}
	if a.granted {
		a.fence = uint64(fence)
	}
	return a, nil
}

// maxLeft bounds what a reply may say is left of a lease, in ms.
const maxLeft = int64(1000 * time.Hour / time.Millisecond)

func (n *node) ask(ctx context.Context, keys []string, owner string, q query) (answer, error) {
	lease := n.l.lease
	if !q.queued {
		a, err := n.run(ctx, n.acquire, keys[:1], owner, lease)
		if err != nil || !a.unknown && (!q.queue || a.granted) {
			return a, err
		}
	}
	mode := 0
	switch {
	case q.queued:
		mode = 2
	case q.queue:
		mode = 1
	}
	return n.run(ctx, n.queue, keys, owner, lease, mode, n.l.maxWaiters, n.clock.expect(time.Now(), n.l.ttl), n.l.tolerance().Milliseconds())
}

// run runs a script that answers as acquire.lua does.
func (n *node) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (answer, error) {
	c := call{n: n, script: script, keys: keys, args: args, sent: time.Now()}
	v, err := c.idempotent(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := decodeAnswer(v)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	a.again = c.again
	n.clock.saw(a.now, c.sent, time.Now(), n.l.tolerance())
	return a, nil
}

// code runs a script that answers with one number, once.
func (n *node) code(ctx context.Context, script *redis.Script, keys []string, args ...any) (int64, error) {
	c := call{n: n, script: script, keys: keys, args: args, sent: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, n.l.nodeTimeout)
	defer cancel()
	return code(c.once(ctx))
}

// surely is code for a script that may run twice.
func (n *node) surely(ctx context.Context, script *redis.Script, keys []string, args ...any) (int64, error) {
	c := call{n: n, script: script, keys: keys, args: args, sent: time.Now()}
	return code(c.idempotent(ctx))
}

func code(v []int64, err error) (int64, error) {
	if err == nil && len(v) != 1 {
		err = fmt.Errorf("reply of %d values, want one", len(v))
	}
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// words runs a script that answers with what operators want to know.
func (n *node) words(ctx context.Context, script *redis.Script, keys []string) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, n.l.nodeTimeout)
	defer cancel()
	v, err := n.caller.Run(ctx, script, keys).Result()
	return v, diagnose(err)
}

func (n *node) renew(ctx context.Context, keys []string, owner string) (int64, error) {
	return n.surely(ctx, n.extend, keys[:1], owner, n.l.lease)
}

func (n *node) let(ctx context.Context, keys []string, owner string, leaving bool) (int64, error) {
	return n.giveUp(ctx, n.release, keys, owner, leaving)
}

func (n *node) giveUp(ctx context.Context, release *redis.Script, keys []string, owner string, leaving bool) (int64, error) {
	c := call{n: n, script: release, keys: keys, args: []any{owner}, sent: time.Now()}
	if leaving {
		c.args = append(c.args, 1)
	}
	v, err := code(c.idempotent(ctx))
	if err == nil && c.again { // the first call may have done it
		v = 1
	}
	return v, err
}

func (n *node) look(ctx context.Context, keys []string) (any, error) {
	return n.words(ctx, n.inspect, keys)
}

func (n *node) take(ctx context.Context, keys []string, owner string) (int64, error) {
	return n.code(ctx, n.force, keys, owner)
}

func (n *node) wait() {}
