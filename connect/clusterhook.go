package connect

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// reloadInterval is how often a cluster client reloads the topology when nothing
// fails. go-redis' default is a minute.
const reloadInterval = 10 * time.Second

// clusterHook corrects two habits of the cluster client.
//
// It reloads the topology only on MOVED or by the clock, so a dead master stays
// in use for a minute. Here each failure to reach a node requests a reload;
// go-redis does one at a time.
//
// It retries commands after network errors up to MaxRedirects, whatever MaxRetries
// says, and the node's client retries as well. Here only the latter does, see
// retryHook.
type clusterHook struct {
	reload func(context.Context)
}

// DialHook passes dials on.
func (h *clusterHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook sends a command that go-redis does not retry, and requests a
// reload if no node answered.
func (h *clusterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.NoRetry() {
			ctx = context.WithValue(ctx, never{}, true)
		}
		err := next(ctx, h.guard(cmd))
		h.check(ctx, err)
		return err
	}
}

// ProcessPipelineHook does the same for each command of a pipeline.
func (h *clusterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		guarded := make([]redis.Cmder, len(cmds))
		for i, cmd := range cmds {
			guarded[i] = h.guard(cmd)
		}
		err := next(ctx, guarded)
		h.check(ctx, err)
		return err
	}
}

// check requests a reload of the topology after a failure to reach a node.
func (h *clusterHook) check(ctx context.Context, err error) {
	if unreachable(err) {
		h.reload(ctx)
	}
}

// spread lists the commands that go-redis sends to several nodes, or handles by
// the type of the command. They may be repeated and must reach it unwrapped.
var spread = map[string]bool{
	"mget": true, "mset": true, "del": true, "unlink": true, "exists": true, "touch": true,
	"dbsize": true, "flushdb": true, "flushall": true, "keys": true, "scan": true, "randomkey": true,
	"script": true, "function": true, "config": true, "cluster": true, "client": true, "command": true,
	"info": true, "ping": true, "wait": true, "waitaof": true, "multi": true, "exec": true, "asking": true,
	"hello": true, "auth": true, "select": true, "readonly": true, "memory": true, "latency": true, "slowlog": true, "himport": true,
}

// guard keeps go-redis from retrying a command, unless it belongs to several
// nodes.
func (h *clusterHook) guard(cmd redis.Cmder) redis.Cmder {
	if spread[cmd.Name()] {
		return cmd
	}
	once, _ := bounded.Once(cmd)
	return once
}

// retryHook passes the original command to a node's client, which retries it as
// often as MaxRetries says, unless the caller has asked for it to be sent once.
type retryHook struct{}

// never is the key of a context value that marks commands which the caller has
// asked to be sent once.
type never struct{}

// DialHook passes dials on.
func (retryHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook removes the wrapper of clusterHook, which is about redirects.
func (retryHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if w, ok := cmd.(interface{ Itself() redis.Cmder }); ok && ctx.Value(never{}) == nil {
			cmd = w.Itself()
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook changes nothing: pipelines on a cluster are never
// retried.
func (retryHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// dialOnly is a user's hook on a node of a cluster. It sees the node's dials alone,
// because the hook on the cluster's client sees the commands already.
type dialOnly struct{ hook redis.Hook }

// DialHook is the user's; the other two methods leave it out.
func (d dialOnly) DialHook(next redis.DialHook) redis.DialHook { return d.hook.DialHook(next) }

func (dialOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dialOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
