package lockmw

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"strconv"
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
	let(keys []string, owner string, leaving bool) (int64, error)
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
	return &node{l: l, caller: bounded.New(rdb), acquire: redis.NewScriptServerSHA(acquireSource), queue: redis.NewScriptServerSHA(queueSource),
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
}

func decodeAnswer(v any) (answer, error) {
	list, ok := v.([]any)
	if !ok || len(list) != 4 {
		return answer{}, fmt.Errorf("reply %T, want four values", v)
	}
	code, ok1 := list[0].(int64)
	left, ok2 := list[2].(int64)
	now, ok3 := list[3].(int64)
	if !ok1 || !ok2 || !ok3 || left < 0 {
		return answer{}, errors.New("reply is not of numbers")
	}
	a := answer{granted: code == 1, full: code == -1, unknown: code == 2, mismatch: code == -3, left: time.Duration(left) * time.Millisecond, now: now}
	if a.granted {
		text, _ := list[1].(string)
		fence, err := strconv.ParseUint(text, 10, 64)
		if err != nil || fence == 0 {
			return answer{}, errors.New("reply has no fence")
		}
		a.fence = fence
	}
	return a, nil
}

func (n *node) ask(ctx context.Context, keys []string, owner string, q query) (answer, error) {
	lease := n.l.ttl.Milliseconds()
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
	sent := time.Now()
	v, err := n.reply(ctx, script, keys, args...)
	if err != nil {
		return answer{}, err
	}
	a, err := decodeAnswer(v)
	if err == nil {
		n.clock.saw(a.now, sent, time.Now(), n.l.tolerance())
	}
	return a, err
}

func (n *node) reply(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, n.l.nodeTimeout)
	defer cancel()
	return script.Run(ctx, n.caller, keys, args...).Result()
}

func (n *node) code(ctx context.Context, script *redis.Script, keys []string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, n.l.nodeTimeout)
	defer cancel()
	return script.Run(ctx, n.caller, keys, args...).Int64()
}

func (n *node) renew(ctx context.Context, keys []string, owner string) (int64, error) {
	return n.code(ctx, n.extend, keys[:1], owner, n.l.ttl.Milliseconds())
}

func (n *node) let(keys []string, owner string, leaving bool) (int64, error) {
	if leaving {
		return n.code(context.Background(), n.release, keys, owner, 1)
	}
	return n.code(context.Background(), n.release, keys, owner)
}

func (n *node) look(ctx context.Context, keys []string) (any, error) {
	return n.reply(ctx, n.inspect, keys)
}

func (n *node) take(ctx context.Context, keys []string, owner string) (int64, error) {
	return n.code(ctx, n.force, keys, owner)
}

func (n *node) wait() {}
